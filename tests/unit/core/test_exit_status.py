"""What is told of an end, from what the witnesses saw."""

from __future__ import annotations

from typing import Any

import pytest

from wharfside_agent.core.exit_status import MONITOR_TIMEOUT, Ended, interpret, shell_code
from wharfside_protocol.exits import ExitReason, ExitStatus, StatusSource

KILLED, CORE = 9, 0x80 | 11


def told(ended: Ended, **facts: Any) -> ExitStatus:
    known = {
        "end_asked": None,
        "oom_kills_added": 0,
        "started_at": None,
        "memory_peak_bytes": None,
        "cpu_us": None,
    }
    return interpret(ended, **(known | facts))


def seen(wait_status: int | None = None, file: int | None = None, **more: Any) -> Ended:
    source = StatusSource.PIDFD if wait_status is not None else StatusSource.EXIT_FILE
    if wait_status is None and file is None:
        source = StatusSource.NONE
    return Ended(wait_status, file, source, more.pop("exited_at", 5_000_000_000), **more)


@pytest.mark.parametrize(
    ("wait_status", "code", "signal", "core"),
    [(0, 0, None, False), (3 << 8, 3, None, False), (KILLED, 137, 9, False), (CORE, 139, 11, True)],
)
def test_a_wait_status_proves_code_signal_and_core(
    wait_status: int, code: int, signal: int | None, core: bool
) -> None:
    status = told(seen(wait_status, code))
    assert (status.exit_code, status.signal, status.core_dumped) == (code, signal, core)
    assert shell_code(wait_status) == code
    assert status.status_known and status.status_source is StatusSource.PIDFD


def test_an_exit_file_proves_no_signal() -> None:
    status = told(seen(file=137))
    assert (status.exit_code, status.signal, status.core_dumped) == (137, None, None)
    assert status.status_known and status.status_source is StatusSource.EXIT_FILE


def test_nothing_is_invented() -> None:
    status = told(seen(detail="nobody looked", monitor_lost=True))
    assert (status.exit_code, status.signal, status.status_known) == (None, None, False)
    assert status.status_source is StatusSource.NONE
    assert status.reason is ExitReason.MONITOR_LOST
    assert status.unknown_because == "nobody looked"


def test_conmons_timeout_is_no_exit_code() -> None:
    status = told(seen(file=MONITOR_TIMEOUT, timed_out=True))
    assert (status.exit_code, status.status_known, status.timed_out) == (None, False, True)
    assert status.reason is ExitReason.TIMEOUT
    assert told(seen(KILLED, MONITOR_TIMEOUT, timed_out=True)).exit_code == 137


@pytest.mark.parametrize(
    ("ended", "kills", "oom"),
    [
        (seen(KILLED), 1, True),
        (seen(137 << 8), 1, True),  # a shell whose child was the victim
        (seen(file=137), 1, True),
        (seen(KILLED), 0, False),
        (seen(0), 1, False),
        (seen(15), 1, False),
        (seen(), 1, False),
    ],
)
def test_oom_needs_sigkill_and_a_rise_of_the_counter(ended: Ended, kills: int, oom: bool) -> None:
    status = told(ended, oom_kills_added=kills)
    assert status.oom_killed is oom
    assert (status.reason is ExitReason.OOM) is oom


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, ExitReason.SELF),
        ({"end_asked": "stop"}, ExitReason.STOP),
        ({"end_asked": "kill"}, ExitReason.KILL),
        ({"end_asked": "stop", "oom_kills_added": 1}, ExitReason.OOM),
    ],
)
def test_the_reason_is_who_asked_unless_the_kernel_did_it(
    facts: dict[str, Any], reason: ExitReason
) -> None:
    assert told(seen(KILLED), **facts).reason is reason


def test_the_duration_is_never_negative() -> None:
    assert told(seen(0), started_at=4_000_000_000).duration_us == 1_000_000
    assert told(seen(0), started_at=6_000_000_000).duration_us == 0
    assert told(seen(0)).duration_us is None
