"""A container in the foreground: signals go to it, its output and exit code come back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from wharfside_client.cli import exitcodes
from wharfside_client.cli.parse import Target
from wharfside_client.cli.session import Session
from wharfside_protocol.errors import WharfsideError

if TYPE_CHECKING:
    from wharfside_client.calls import Options
    from wharfside_client.node import Node
    from wharfside_protocol.commands import CreateArgs, Output, WaitValue

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNAL_S = 5.0


async def run_in_foreground(
    session: Session, node: Node, where: Target, args: CreateArgs, options: Options
) -> int:
    """Runs a container, waits for its end, prints its output and returns its exit code.

    The first SIGINT, SIGTERM or SIGHUP goes to the container, also when it comes before
    the container is there; the second one leaves it alone.
    """
    with _Signals() as signals:
        working = asyncio.ensure_future(
            _make_and_wait(session, node, where, args, signals, options)
        )
        signals.on_second(working.cancel)
        try:
            ended = await working
        except asyncio.CancelledError:
            session.output.warn(f"{where} is left running; see `wharfside wait {where}`")
            return exitcodes.INTERRUPTED
    _tell(session, where, ended)
    if args.restart is not None and args.restart.policy != "no":
        session.output.warn(
            f"{where} has the restart policy {args.restart.policy}: it may run again; "
            f"`wharfside stop {where}` ends that"
        )
    return exitcodes.of_exit(ended.exit)


async def _make_and_wait(
    session: Session,
    node: Node,
    where: Target,
    args: CreateArgs,
    signals: _Signals,
    options: Options,
) -> WaitValue:
    made = await node.run(args, **options)
    forwarding = asyncio.create_task(_forward(session, node, where, signals))
    try:
        return await node.wait(where.container, incarnation=made.incarnation, output=True)
    finally:
        forwarding.cancel()


def show(session: Session, output: Output | None) -> None:
    """A process's captured output, byte for byte, and what is missing of it."""
    if output is None:
        return
    session.output.streams(output.stdout, output.stderr)
    for name in ("stdout", "stderr"):
        if getattr(output, f"{name}_truncated"):
            session.output.warn(f"{name} goes on; only its head is kept in a result")


def _tell(session: Session, where: Target, ended: WaitValue) -> None:
    if session.output.json:
        session.output.document(ended)
        return
    show(session, ended.output)
    if ended.exit is not None and not ended.exit.status_known:
        because = ended.exit.unknown_because or ended.exit.reason
        session.output.warn(f"how {where} ended cannot be known: {because}")


class _Signals:
    """The signals that come while it is open, instead of their default effect."""

    def __init__(self) -> None:
        self.first: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
        self._second: Callable[[], object] | None = None

    def __enter__(self) -> _Signals:
        loop = asyncio.get_running_loop()
        for number in FORWARDED:
            loop.add_signal_handler(number, self._came, number)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in FORWARDED:
            loop.remove_signal_handler(number)

    def on_second(self, call: Callable[[], object]) -> None:
        self._second = call

    def _came(self, number: signal.Signals) -> None:
        if not self.first.done():
            self.first.set_result(number)
        elif self._second is not None:
            self._second()


async def _forward(session: Session, node: Node, where: Target, signals: _Signals) -> None:
    number = await signals.first
    session.output.warn(f"{number.name} goes to {where}; once more leaves it running")
    try:
        await node.signal(where.container, number.name, timeout_s=SIGNAL_S)
    except WharfsideError as error:
        session.output.error(error)
