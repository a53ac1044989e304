"""What `--help` shows: the same on a terminal and in a pipe, in 80 columns, without Python's types.

typer's own help tells the shared flags anew for each command, cuts what a command does off at the
line's end, and loads rich for it, which takes a quarter of a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from wharfside_client.cli import exitcodes
from wharfside_client.cli.output import Output, mute, unwritten

SHARED = "Connection and output"
"""The panel of the flags that every command takes."""

SECTIONS = {
    "Containers": "create run exec attach logs cp ps top start stop restart kill pause resume "
    "update wait rm inspect stats",
    "Checkpoints and moves": "checkpoint checkpoints restore migrate migrations",
    "Nodes": "nodes info drain undrain resync",
    "What happened": "events audit commands result cancel",
    "The bus, and who may use it": "bootstrap dead-letters auth policy-check",
    "Scripts": "api schema",
}
"""The commands as `wharfside --help` groups them."""

_TYPE = re.compile(r" <[^<>]+>$")
_OPENING = re.compile(r"(.+?)(?:[;.]|$)", re.DOTALL)


class Helping:
    """The parts of a help page that commands and groups share."""

    def parse_args(self: Any, ctx: Any, args: list[str]) -> list[str]:
        """What flags print (--help, --version, completion) is written as all else is."""
        with _printing():
            parse: Any = super().parse_args  # type: ignore[misc]
            return list(parse(ctx, args))

    def collect_usage_pieces(self: Any, ctx: Any) -> list[str]:
        arguments = [param for param in self.get_params(ctx) if is_argument(param)]
        return ["[OPTIONS]", *(metavar(param) for param in arguments)]

    def format_options(self: Any, ctx: Any, formatter: Any) -> None:
        params = self.get_params(ctx)
        own = [param for param in params if not is_shared(param)]
        section(formatter, "Arguments", told((p for p in own if is_argument(p) and p.help), ctx))
        section(formatter, "Options", told((p for p in own if not is_argument(p)), ctx))
        shared = [param for param in params if is_shared(param)]
        if shared and ctx.parent is not None:
            with formatter.section(f"{SHARED}, as `{ctx.find_root().info_name} --help` tells"):
                formatter.write_text(" ".join(param.opts[0] for param in shared))
        else:
            section(formatter, SHARED, told(shared, ctx))


@contextmanager
def _printing() -> Iterator[None]:
    """Ends as a command does (`session.run`) where what typer prints cannot be written."""
    try:
        yield
    except BrokenPipeError:
        mute()
        raise typer.Exit(exitcodes.READER_GONE) from None
    except OSError as error:
        Output().error(unwritten(error))
        raise typer.Exit(exitcodes.OURS) from error


class Command(Helping, TyperCommand):
    """A command."""


class Group(Helping, TyperGroup):
    """Commands below a name; those of the top by sections."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", "COMMAND", "[ARGUMENTS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        names = self.list_commands(ctx)
        parts = {"Commands": names}
        if ctx.parent is None:
            parts = {title: words.split() for title, words in SECTIONS.items()}
        for title, listed in parts.items():
            commands = [(name, self.get_command(ctx, name)) for name in listed if name in names]
            section(formatter, title, [(name, opening(command)) for name, command in commands])
        super().format_options(ctx, formatter)


def is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def is_shared(param: Any) -> bool:
    return getattr(param, "rich_help_panel", None) == SHARED


def metavar(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def told(params: Iterable[Any], ctx: Any) -> list[tuple[str, str]]:
    """Name and meaning of each that is not hidden."""
    records = ((param, param.get_help_record(ctx)) for param in params)
    return [
        (metavar(param) if is_argument(param) else _TYPE.sub("", record[0]), meaning(record[1]))
        for param, record in records
        if record is not None
    ]


def meaning(help: str) -> str:
    return help.replace("[required]", "").strip()


def opening(command: Any) -> str:
    """What a command does, up to where it says how."""
    found = _OPENING.match(" ".join((command.help or "").split("\n\n")[0].split()))
    return found[1] if found else ""


def section(formatter: Any, title: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows, col_max=26)
