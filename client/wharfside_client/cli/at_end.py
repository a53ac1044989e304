"""`run` for programs and mailboxes: the exit, and the head of the output, when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wharfside_client.cli.coupling import Parting, first
from wharfside_client.cli.running import tell_policy

if TYPE_CHECKING:
    from wharfside_client.calls import Options
    from wharfside_client.cli.foreground import Foreground
    from wharfside_client.cli.session import Session
    from wharfside_client.cli.signals import Signals
    from wharfside_protocol.commands import CreateArgs, Output, WaitValue


async def run(front: Foreground, args: CreateArgs, options: Options) -> int:
    """Runs a container, waits for its end, tells it and returns its exit code.

    Raises:
        WharfsideError: it cannot be run.
    """
    ended: WaitValue | None = None

    async def work(signals: Signals) -> Parting:
        nonlocal ended
        made = await front.node.run(args, **options)
        ended = await first(_wait(front, made.incarnation), front.pass_signals(signals))
        return Parting(exit=ended.exit if ended else None)

    status = await front.hold(work)
    if ended is not None:
        _tell(front, ended)
        tell_policy(front, args.restart)
    return status


async def _wait(front: Foreground, incarnation: str) -> WaitValue:
    return await front.node.wait(front.where.container, incarnation=incarnation, output=True)


def _tell(front: Foreground, ended: WaitValue) -> None:
    if front.session.output.json:
        front.session.output.document(ended)
    else:
        show(front.session, ended.output)


def show(session: Session, output: Output | None) -> None:
    """A process's captured output, byte for byte, and what is missing of it."""
    if output is None:
        return
    session.output.streams(output.stdout, output.stderr)
    for name in ("stdout", "stderr"):
        if getattr(output, f"{name}_truncated"):
            session.output.warn(f"{name} goes on; only its head is kept in a result")
