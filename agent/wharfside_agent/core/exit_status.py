"""From what the witnesses saw of an end to the terminal status that is told. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wharfside_protocol.exits import ExitReason, ExitStatus, StatusSource
from wharfside_protocol.times import to_timestamp

SIGKILL = 9
KILLED_CODE = 128 + SIGKILL
MONITOR_TIMEOUT = -1
"""conmon writes it as the exit code of a process that its own timeout (-T) ended."""

_SIGNAL_MASK = 0x7F
_CORE_BIT = 0x80


@dataclass(frozen=True, slots=True)
class Ended:
    """A process is over, with all that the witnesses said.

    Attributes:
        wait_status: as wait(2) gives it, exact; None where nobody saw it.
        exit_file: conmon's decimal (128 + signal); None where it wrote none.
        source: the best of the witnesses above.
        exited_at: nanoseconds since the epoch, as near to the kernel's as known.
        time_known: false: nobody watched, and it is when the end was found.
        timed_out: conmon's own timeout ended it.
        monitor_lost: conmon was gone before its process.
        detail: for the operator, where the status is not known.
    """

    wait_status: int | None
    exit_file: int | None
    source: StatusSource
    exited_at: int
    time_known: bool = True
    timed_out: bool = False
    monitor_lost: bool = False
    detail: str = ""


def shell_code(wait_status: int) -> int:
    """The code as the shell has it: 128 + signal for a killed process."""
    signal = wait_status & _SIGNAL_MASK
    return 128 + signal if signal else wait_status >> 8


def interpret(
    ended: Ended,
    *,
    end_asked: str | None,
    oom_kills_added: int,
    started_at: int | None,
    memory_peak_bytes: int | None,
    cpu_us: int | None,
) -> ExitStatus:
    """The status that is told once and for ever (rule 4).

    `end_asked` is why the node was asked to end it (an `ExitReason`), None where it was
    not. `oom_kills_added` counts kills in its cgroup that no exit was told for yet.
    `started_at` is in nanoseconds since the epoch; None where it never ran.
    """
    code = _code(ended)
    oom_killed = code == KILLED_CODE and oom_kills_added > 0
    return ExitStatus(
        exit_code=code,
        signal=_signal(ended),
        core_dumped=None if ended.wait_status is None else bool(ended.wait_status & _CORE_BIT),
        oom_killed=oom_killed,
        timed_out=ended.timed_out,
        reason=_reason(ended, end_asked, oom_killed),
        status_source=ended.source if code is not None else StatusSource.NONE,
        status_known=code is not None,
        unknown_because=None if code is not None else ended.detail or "nobody saw the status",
        exited_at=to_timestamp(ended.exited_at),
        time_known=ended.time_known,
        duration_us=_duration_us(started_at, ended.exited_at),
        memory_peak_bytes=memory_peak_bytes,
        cpu_us=cpu_us,
    )


def _code(ended: Ended) -> int | None:
    if ended.wait_status is not None:
        return shell_code(ended.wait_status)
    if ended.exit_file is None or ended.exit_file < 0:
        return None
    return ended.exit_file


def _signal(ended: Ended) -> int | None:
    """Only a wait status proves one: exit(137) leaves the same exit file as SIGKILL."""
    if ended.wait_status is None:
        return None
    return ended.wait_status & _SIGNAL_MASK or None


def _reason(ended: Ended, end_asked: str | None, oom_killed: bool) -> ExitReason:
    if ended.timed_out:
        return ExitReason.TIMEOUT
    if oom_killed:
        return ExitReason.OOM
    if end_asked is not None:
        return ExitReason(end_asked)
    if ended.source is StatusSource.NONE:
        return ExitReason.MONITOR_LOST
    return ExitReason.SELF


def _duration_us(started_at: int | None, exited_at: int) -> int | None:
    """Never negative: the finish time of a file is as coarse as the kernel's tick."""
    return None if started_at is None else max(0, exited_at - started_at) // 1000
