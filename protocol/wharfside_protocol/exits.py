"""How a process ended: told once, never invented."""

from __future__ import annotations

from enum import StrEnum

from wharfside_protocol.records import Counter, Record, Timestamp


class ExitReason(StrEnum):
    """Why it ended, as far as the node knows."""

    SELF = "self"
    STOP = "stop"
    KILL = "kill"
    OOM = "oom"
    TIMEOUT = "timeout"
    CHECKPOINT = "checkpoint"
    NODE_REBOOT = "node-reboot"
    MONITOR_LOST = "monitor-lost"


class StatusSource(StrEnum):
    """Which witness told the status."""

    WAIT = "wait"
    PIDFD = "pidfd"
    EXIT_FILE = "exit-file"
    NONE = "none"


class ExitStatus(Record, frozen=True, kw_only=True):
    """The terminal status of a process.

    `exit_code` is as the shell has it (128 + signal for a killed one), nil where it
    cannot be known, and then `unknown_because` says why. `signal` stands only where it
    is proven: conmon's exit file cannot tell exit(137) from SIGKILL, a wait status can.
    `time_known` false: nobody watched it end; `exited_at` is when that was found, so it ended
    then or before, and ran at most `duration_us`. `duration_us` and `cpu_us` are microseconds,
    `memory_peak_bytes` is the whole container's.
    """

    exit_code: Counter | None = None
    signal: Counter | None = None
    core_dumped: bool | None = None
    oom_killed: bool = False
    timed_out: bool = False
    reason: ExitReason
    status_source: StatusSource
    status_known: bool
    unknown_because: str | None = None
    exited_at: Timestamp
    time_known: bool = True
    duration_us: Counter | None = None
    memory_peak_bytes: Counter | None = None
    cpu_us: Counter | None = None
