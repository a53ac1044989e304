"""Groups of flags about a process's streams, as docker calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import keys, parse

if TYPE_CHECKING:
    from wharfside_protocol.specs import Io

Interactive = Annotated[
    bool, typer.Option("--interactive", "-i", help="Keep stdin open, and pass ours on")
]
Tty = Annotated[bool, typer.Option("--tty", "-t", help="Give it a terminal")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TtyFlags:
    """Of a process that may be typed into: what `run`, `create` and `exec` share."""

    interactive: Interactive = False
    tty: Tty = False

    @property
    def any(self) -> bool:
        return self.interactive or self.tty


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFlags:
    """How a container's output is kept: what `run` and `create` share."""

    no_log: Annotated[
        bool, typer.Option("--no-log", help="Keep no output: for whoever is attached alone")
    ] = False
    ship: Annotated[
        bool, typer.Option("--ship", help="Put its log into the stream WHARFSIDE_LOGS, too")
    ] = False
    fifo: Annotated[
        bool, typer.Option("--fifo", help="FIFOs on the node for its streams, for local tools")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachFlags:
    """Of a process that is looked at from here: what `run`, `exec` and `attach` share."""

    detach_keys: Annotated[
        Any,
        typer.Option(
            "--detach-keys",
            parser=parse.detach_keys,
            metavar="KEYS",
            help="What leaves a terminal and lets it run; '' for nothing",
        ),
    ] = keys.DEFAULT
    sig_proxy: Annotated[
        bool,
        typer.Option("--sig-proxy/--no-sig-proxy", help="Pass our signals on (not with a tty)"),
    ] = True


def make_io(streams: TtyFlags, log: LogFlags, *, once: bool) -> Io:
    """`once`: stdin ends with the first session that writes to it.

    Raises:
        typer.BadParameter: flags that do not go together.
    """
    from wharfside_protocol.errors import Invalid
    from wharfside_protocol.specs import Io

    try:
        return Io(
            stdin=streams.interactive,
            stdin_once=once,
            tty=streams.tty,
            log=not log.no_log,
            fifo=log.fifo,
            ship=log.ship,
        )
    except Invalid as error:
        raise typer.BadParameter(error.message) from error
