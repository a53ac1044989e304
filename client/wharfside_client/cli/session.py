"""One run of a command: its flags, its output, its connection, its exit status."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from wharfside_client.cli import exitcodes
from wharfside_client.cli.flags import Flags
from wharfside_client.cli.output import Output, mute

if TYPE_CHECKING:
    from wharfside_client.calls import Options
    from wharfside_client.client import Wharfside
    from wharfside_client.durable import Posted
    from wharfside_client.settings import ServerSettings

FOLLOWING_S = 15.0
"""So long a durable command's caller waits in silence: a node whose mailbox was just made finds it
within 10 s."""


class Session:
    """What a command's body is given."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self.output = Output(json=bool(flags.json), no_color=bool(flags.no_color))

    @property
    def options(self) -> Options:
        """The call options that come from flags."""
        return {} if self.flags.timeout is None else {"timeout_s": self.flags.timeout}

    @contextmanager
    def following(self, posted: Posted) -> Iterator[None]:
        """Says after a while what a durable command waits for, and how to leave it."""
        import asyncio

        node, command = posted.node, posted.id
        text = (
            f"{node} has told no result of {command} yet, which is kept for it up to 24 h. Is it "
            f"up (`wharfside nodes`), and has it a mailbox (`wharfside nodes add {node}`)? Ctrl-C "
            f"leaves the command there: `wharfside result {node} {command}`"
        )
        notice = asyncio.get_running_loop().call_later(FOLLOWING_S, self.output.warn, text)
        try:
            yield
        finally:
            notice.cancel()

    def connect(self) -> AbstractAsyncContextManager[Wharfside]:
        """
        Raises:
            BadSettings, Invalid, ServerUnreachable, Refused: see `wharfside_client.connect`.
        """
        from wharfside_client.client import connect

        return connect(self.settings())

    def settings(self) -> ServerSettings:
        """
        Raises:
            BadSettings: the NATS context is missing or broken.
        """
        from wharfside_client.contexts import find_settings

        flags = self.flags
        given = {
            "servers": flags.server,
            "creds": flags.creds,
            "nkey": flags.nkey,
            "sign_key": flags.sign_key,
            "ca": flags.tlsca,
            "cert": flags.tlscert,
            "key": flags.tlskey,
            "peer": flags.peer,
            "prefix": flags.prefix,
            "actor": _actor(),
            "name": "wharfside-cli",
        }
        return find_settings(given, flags.context, os.environ)


def run(
    body: Callable[..., Awaitable[int | None]],
    session: Session,
    arguments: Mapping[str, Any],
    *,
    runs: bool,
) -> int:
    """The exit status of a command's body; its errors are told on stderr."""

    import asyncio

    from wharfside_protocol.errors import WharfsideError

    async def whole() -> int | None:
        return await body(session, **arguments)

    try:
        with _interrupts():
            return asyncio.run(whole()) or exitcodes.OK
    except BrokenPipeError:  # as a program that SIGPIPE ends, after `| head`: in silence
        mute()
        return exitcodes.READER_GONE
    except WharfsideError as error:
        session.output.error(error)
        return exitcodes.of_error(error, runs=runs)
    except KeyboardInterrupt:
        return exitcodes.INTERRUPTED


@contextmanager
def _interrupts() -> Iterator[None]:
    """Ctrl-C as KeyboardInterrupt, where `entry` has made it end the process at once."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _actor() -> str:
    """`user@host`, for the node's records; not a proof of anything."""
    import getpass
    import socket

    try:
        who = getpass.getuser()
    except (KeyError, OSError):
        who = str(os.getuid())
    return f"{who}@{socket.gethostname()}"[:128]
