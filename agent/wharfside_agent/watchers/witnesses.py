"""Weighs what kernel and conmon say of an end: the exact status where anyone can prove it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from wharfside_agent.core.exit_status import MONITOR_TIMEOUT, Ended, shell_code
from wharfside_agent.watchers import pidfd
from wharfside_protocol.exits import StatusSource

TICK_NS = 10_000_000
"""File times are as coarse as the kernel's tick, at most 1/100 s."""

_CODE_BYTES = 64


@dataclass(frozen=True, slots=True)
class ExitFile:
    """conmon's `persist/exit`: `code` as the shell has it, or MONITOR_TIMEOUT."""

    code: int
    written_at: int


def read_exit_file(persist: Path) -> ExitFile | None:
    """None: there is none, or no number in it (the disk was full)."""
    try:
        fd = os.open(f"{persist}/exit", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return ExitFile(int(os.read(fd, _CODE_BYTES)), os.fstat(fd).st_mtime_ns)
    except ValueError:
        return None
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the witnesses stood.

    Attributes:
        fd: a pidfd of the process; -1 where it was over before anyone opened one.
        conmons_child: conmon was its parent, so conmon's code is wait(2)'s.
        monitor_lost: conmon was gone before the process.
        seen_at: when the process was seen to be over, None where nobody watched then.
        now: nanoseconds since the epoch.
    """

    fd: int
    conmons_child: bool
    monitor_lost: bool
    seen_at: int | None
    now: int


def testimony(scene: Scene, file: ExitFile | None) -> Ended:
    """How the process ended, by the best witness; `source` NONE where there is none."""
    status, source = _weigh(scene, file)
    return Ended(
        wait_status=status,
        exit_file=None if file is None or source is StatusSource.NONE else file.code,
        source=source,
        exited_at=_exited_at(scene, file),
        time_known=file is not None or scene.seen_at is not None,
        timed_out=file is not None and file.code == MONITOR_TIMEOUT,
        monitor_lost=scene.monitor_lost or file is None,
        detail=_detail(scene, file) if source is StatusSource.NONE else "",
    )


def _weigh(scene: Scene, file: ExitFile | None) -> tuple[int | None, StatusSource]:
    own = pidfd.reap(scene.fd) if scene.fd >= 0 else None
    if own is not None:
        return own, StatusSource.WAIT
    exact = _of_the_kernel(scene.fd) if scene.fd >= 0 else None
    if exact is not None and _agrees(exact, scene, file):
        return exact, StatusSource.PIDFD
    if file is None or (file.code == 0 and not scene.conmons_child):
        return None, StatusSource.NONE
    return None, StatusSource.EXIT_FILE


def _of_the_kernel(fd: int) -> int | None:
    """It may be reaped between the two questions: hence the first one once more."""
    status = pidfd.exit_info(fd)
    if status is None:
        status = pidfd.zombie_status(fd)
    return pidfd.exit_info(fd) if status is None else status


def _agrees(exact: int, scene: Scene, file: ExitFile | None) -> bool:
    """Whether the kernel's word may stand.

    conmon has its code from wait(2), which is the process's; what the kernel keeps for
    the pidfd is its first thread's, which may have ended before the others. But conmon
    (2.2.0 and later) writes 0 for a process that was not its child: worth nothing.
    """
    if file is None or file.code == MONITOR_TIMEOUT or not scene.conmons_child:
        return True
    return shell_code(exact) == file.code


def _exited_at(scene: Scene, file: ExitFile | None) -> int:
    """The sight of it is the finest, unless the loop was held up for longer than a tick."""
    if file is None:
        return scene.now if scene.seen_at is None else scene.seen_at
    if scene.seen_at is None:
        return file.written_at
    return min(scene.seen_at, file.written_at + TICK_NS)


def _detail(scene: Scene, file: ExitFile | None) -> str:
    if file is not None:
        return "conmon wrote 0 for a process that was not its child"
    if scene.fd < 0:
        return "process and conmon ended while no agent watched, and conmon left no exit file"
    return "conmon left no exit file, and nobody else saw the status (needs Linux 6.15)"
