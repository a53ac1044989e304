"""A process in the foreground: its output as it comes, its input, its signals, its exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wharfside_client.cli import exitcodes
from wharfside_client.cli.coupling import STDIN, STDOUT, Coupling, Parting, Remote, first
from wharfside_client.cli.errors import NoTerminal
from wharfside_client.cli.signals import LEAVING, Signals
from wharfside_client.cli.terminal import size_of
from wharfside_client.errors import SessionLost
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.states import INIT

if TYPE_CHECKING:
    from wharfside_client.cli.ioflags import AttachFlags
    from wharfside_client.cli.parse import Target
    from wharfside_client.cli.session import Session
    from wharfside_client.node import Node
    from wharfside_protocol.io_commands import TerminalSize
    from wharfside_protocol.specs import Io

SIGNAL_S = 5.0


@dataclass(frozen=True, slots=True)
class Foreground:
    """A container's process, and what of ours is coupled to it.

    Attributes:
        stdin: what comes on our stdin goes to it.
        tty: it has a terminal; ours is raw then, where `stdin`.
    """

    session: Session
    node: Node
    where: Target
    flags: AttachFlags
    stdin: bool
    tty: bool
    process: str = INIT

    @classmethod
    def of(
        cls,
        session: Session,
        node: Node,
        where: Target,
        flags: AttachFlags,
        io: Io,
        process: str = INIT,
    ) -> Foreground:
        """Of a process that is to be made, with the streams that it is given."""
        return cls(session, node, where, flags, io.stdin, io.tty, process)

    def check(self) -> None:
        """
        Raises:
            NoTerminal: a terminal elsewhere cannot be typed into from what is none.
        """
        if self.stdin and self.tty and not os.isatty(STDIN):
            raise NoTerminal(
                "stdin is no terminal here, and the process has one: leave out -t where it is "
                "made, or pass nothing on (no -i, or --no-stdin)"
            )

    @property
    def size(self) -> TerminalSize | None:
        """Of our terminal; None where the process has none, or we."""
        return (size_of(STDIN) or size_of(STDOUT)) if self.tty else None

    @property
    def back(self) -> str:
        """The command that comes back to it."""
        process = "" if self.process == INIT else f"--process {self.process} "
        return f"wharfside attach {process}{self.where}"

    async def hold(self, work: Callable[[Signals], Coroutine[None, None, Parting]]) -> int:
        """`work`, unless a signal leaves the process before; our exit status.

        Raises:
            SessionLost: the agent has gone; how to come back is told with it.
            WharfsideError: what else `work` raises.
        """
        with Signals(proxy=self.flags.sig_proxy and not self.tty) as signals:
            try:
                parting = await first(work(signals), _left(signals))
            except SessionLost as error:
                words = f"{error.message}; {self.where} goes on: come back with `{self.back}`"
                raise SessionLost(words, **error.details) from error
        return self._part(parting or Parting())

    async def couple(
        self, remote: Remote, signals: Signals, begin: Callable[[], Awaitable[object]] | None = None
    ) -> Parting:
        """Until the process ends or is left; `begin` lets it run, once all is coupled.

        Raises:
            WharfsideError: the session cannot go on, or what `begin` raises.
        """
        coupled = Coupling(remote, stdin=self.stdin, tty=self.tty, keys=self.flags.detach_keys)
        with coupled:
            if begin is not None:
                await begin()
            return await first(coupled.run(), self.pass_signals(signals)) or Parting()

    async def pass_signals(self, signals: Signals) -> None:
        """Passes on what comes, for ever."""
        while True:
            await self._pass_on(await signals.next())

    async def _pass_on(self, number: signal.Signals) -> None:
        if number in LEAVING:
            self.session.output.warn(
                f"{number.name} goes to {self.where}; once more leaves it running"
            )
        try:
            await self.node.signal(
                self.where.container, number.name, process=self.process, timeout_s=SIGNAL_S
            )
        except WharfsideError as error:
            self.session.output.error(error)

    def _part(self, parting: Parting) -> int:
        output = self.session.output
        if parting.detached:
            print(file=sys.stderr)  # behind whatever prompt it stood at
            output.warn(f"detached: {self.where} goes on; come back with `{self.back}`")
            return exitcodes.OK
        if parting.left is not None:
            output.warn(f"{self.where} is left as it is; come back with `{self.back}`")
            return 128 + parting.left
        if parting.exit is None:
            output.warn(f"its output is over; how it ends tells `wharfside wait {self.where}`")
        elif not parting.exit.status_known:
            because = parting.exit.unknown_because or parting.exit.reason
            output.warn(f"how {self.where} ended cannot be known: {because}")
        return exitcodes.of_exit(parting.exit)


async def _left(signals: Signals) -> Parting:
    return Parting(left=await signals.left)
