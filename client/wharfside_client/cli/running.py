"""What `run`, `exec` and `attach` do in the foreground: which session, and when to begin."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

from wharfside_client.cli.coupling import Parting
from wharfside_client.cli.foreground import Foreground
from wharfside_client.session import Request
from wharfside_protocol.codec import to_plain
from wharfside_protocol.commands import ExecArgs
from wharfside_protocol.errors import NotFound, WharfsideError
from wharfside_protocol.io_frames import BULK_WINDOW, TTY_WINDOW

if TYPE_CHECKING:
    from wharfside_client.calls import Options
    from wharfside_client.cli.signals import Signals
    from wharfside_client.session import Session as Remote
    from wharfside_protocol.commands import CreateArgs
    from wharfside_protocol.io_frames import Position
    from wharfside_protocol.specs import Io, ProcessSpec, Restart
    from wharfside_protocol.views import Standing


def new_exec() -> str:
    """A process id like those that nodes make up, known before the node answers."""
    return f"exec-{secrets.token_hex(6)}"


async def run(front: Foreground, args: CreateArgs, options: Options) -> int:
    """Creates a container, couples it, then starts it: nothing that it prints is missed.

    Raises:
        NoTerminal: it has a terminal, and stdin is none.
        WharfsideError: it cannot be made or started, or the session cannot go on.
    """
    front.check()
    ended = False

    async def work(signals: Signals) -> Parting:
        nonlocal ended
        parting = await _create_and_start(front, args, options, signals)
        ended = parting.exit is not None
        return parting

    status = await front.hold(work)
    if ended:
        tell_policy(front, args.restart)
    return status


async def _create_and_start(
    front: Foreground, args: CreateArgs, options: Options, signals: Signals
) -> Parting:
    """What never began is removed; what the runtime refused to start stays, as with docker."""
    made = await front.node.create(args, **options)
    asked = started = False

    async def start() -> None:
        nonlocal asked, started
        asked = True
        await front.node.start(args.container, **options)
        started = True

    try:
        async with output_of(front, args.io, made) as remote:
            return await front.couple(remote, signals, start)
    except NotFound:
        if not started:
            raise
        return await ended_unseen(front, made)
    except WharfsideError:
        if not asked or (args.auto_remove and not started):
            with contextlib.suppress(WharfsideError):
                await front.node.delete(args.container)
        raise


async def ended_unseen(front: Foreground, made: Standing) -> Parting:
    """It ended and was removed (--rm) while its agent was away; its exit is kept."""
    front.session.output.warn(f"{front.where} was removed before all of its output was read")
    ended = await front.node.wait(made.container, incarnation=made.incarnation)
    return Parting(exit=ended.exit)


async def exec_(
    front: Foreground, spec: ProcessSpec, io: Io, limit_s: float | None, options: Options
) -> int:
    """Runs another process in a container, coupled before it begins.

    Raises:
        as `run`
    """
    front.check()
    args = ExecArgs(
        container=front.where.container,
        process=spec,
        io=io,
        exec=front.process,
        wait=False,
        timeout_s=limit_s,
        size=front.size,
    )

    async def work(signals: Signals) -> Parting:
        async with _exec_session(front, args, options) as remote:
            return await front.couple(remote, signals)

    return await front.hold(work)


async def attach(front: Foreground, remote: Remote) -> int:
    """Couples a process that runs already.

    Raises:
        as `run`
    """
    front.check()

    async def work(signals: Signals) -> Parting:
        return await front.couple(remote, signals, lambda: _redraw(front, remote))

    return await front.hold(work)


def tell_policy(front: Foreground, restart: Restart | None) -> None:
    """What may yet come of a container that has ended."""
    policy = restart.policy if restart is not None else "no"
    if policy != "no":
        front.session.output.warn(
            f"{front.where} has the restart policy {policy}: it may run again; "
            f"`wharfside stop {front.where}` ends that"
        )


def output_of(front: Foreground, io: Io, made: Standing, *, begun: bool = False) -> Remote:
    """All of a run's: its log, which outlives the process and the agent; the process itself where
    needed. `begun`: it was started before, and where it has no log its beginning may be gone.
    """
    node = front.node
    if io.log and not (front.stdin or front.tty):
        return node.session("logs", _log_of(front, made.incarnation, made.run), resume=True)
    wanted: dict[str, Any] = {"container": made.container, "stdin": front.stdin}
    if begun and io.log:
        wanted["position"] = {"run": made.run, "offset": 0}
    if front.size is not None:
        wanted["size"] = to_plain(front.size)
    return node.session("attach", wanted, window=_window(front), resume=io.log)


def _exec_session(front: Foreground, args: ExecArgs, options: Options) -> Remote:
    def behind(position: Position | None) -> Request:
        value: Any = remote.value
        log = Request("logs", _log_of(front, value.incarnation, value.run))
        return log.behind(position)

    remote = front.node.session(
        "exec",
        to_plain(args),
        window=_window(front),
        resume=behind if args.io.log else False,
        **options,
    )
    return remote


def _log_of(front: Foreground, incarnation: str, run: int) -> dict[str, Any]:
    return {
        "container": front.where.container,
        "incarnation": incarnation,
        "run": run,
        "process": front.process,
        "follow": True,
        "times": False,
    }


def _window(front: Foreground) -> int:
    return TTY_WINDOW if front.tty else BULK_WINDOW


async def _redraw(front: Foreground, remote: Remote) -> None:
    """As docker: a program draws its screen anew when the size changes, so it is changed.

    Not by who only looks on: the size is that of the one who types.
    """
    size = front.size
    if size is not None and front.stdin:
        await remote.resize(max(size.rows - 1, 1), size.columns)
        await remote.resize(size.rows, size.columns)
