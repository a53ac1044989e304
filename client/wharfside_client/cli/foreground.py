"""A container in the foreground: signals go to it, its output and exit code come back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wharfside_client.cli import exitcodes
from wharfside_client.cli.parse import Target
from wharfside_client.cli.session import Session
from wharfside_protocol.errors import WharfsideError

if TYPE_CHECKING:
    from wharfside_client.node import Node
    from wharfside_protocol.commands import CreateValue, Output, WaitValue

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNAL_S = 5.0


async def follow(session: Session, node: Node, where: Target, made: CreateValue) -> int:
    """Waits for the end of what was made, prints its output and returns its exit code.

    The first SIGINT, SIGTERM or SIGHUP goes to the container; the second one leaves it alone.
    """
    waiting = asyncio.ensure_future(
        node.wait(where.container, incarnation=made.incarnation, output=True)
    )
    with _forwarding(session, node, where, waiting):
        try:
            ended = await waiting
        except asyncio.CancelledError:
            session.output.warn(f"{where} is left running; see `wharfside wait {where}`")
            return exitcodes.INTERRUPTED
    if session.output.json:
        session.output.document(ended)
    else:
        show(session, ended.output)
        if ended.exit is not None and not ended.exit.status_known:
            because = ended.exit.unknown_because or ended.exit.reason
            session.output.warn(f"how {where} ended cannot be known: {because}")
    return exitcodes.of_exit(ended.exit)


def show(session: Session, output: Output | None) -> None:
    """A process's captured output, byte for byte, and what is missing of it."""
    if output is None:
        return
    session.output.streams(output.stdout, output.stderr)
    for name in ("stdout", "stderr"):
        if getattr(output, f"{name}_truncated"):
            session.output.warn(f"{name} goes on; only its head is kept in a result")


@contextmanager
def _forwarding(
    session: Session, node: Node, where: Target, waiting: asyncio.Future[WaitValue]
) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    sent: list[asyncio.Task[None]] = []

    def forward(number: signal.Signals) -> None:
        if sent:
            waiting.cancel()
        else:
            sent.append(loop.create_task(_send(session, node, where, number)))

    for number in FORWARDED:
        loop.add_signal_handler(number, forward, number)
    try:
        yield
    finally:
        for number in FORWARDED:
            loop.remove_signal_handler(number)
        for task in sent:
            task.cancel()


async def _send(session: Session, node: Node, where: Target, number: signal.Signals) -> None:
    session.output.warn(f"{number.name} goes to {where}; once more leaves it running")
    try:
        await node.signal(where.container, number.name, timeout_s=SIGNAL_S)
    except WharfsideError as error:
        session.output.error(error)
