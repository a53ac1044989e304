"""What a process's launch or its monitor's hang has left behind, ended for good."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from contextlib import suppress

from wharfside_agent.ports.process import ProcessTrace
from wharfside_agent.ports.watcher import ProcessIdentity
from wharfside_agent.procs import proc_stat
from wharfside_agent.runtime.argv import MonitorDir
from wharfside_agent.runtime.identity import (
    OVER,
    began_before,
    children,
    identify,
    names,
    pids_naming,
)
from wharfside_agent.runtime.spawn import over, readable

MONITOR_SECONDS = 10.0
"""conmon ends some ms after its process; one that an unread attach client holds is killed."""

KILL_SECONDS = 5.0
"""A process that SIGKILL does not end hangs in the kernel: the cgroup's removal will tell it."""


async def monitor_over(monitor: ProcessIdentity) -> None:
    """Waits until a conmon is over, so that nothing writes into its folders any more."""
    try:
        pidfd = os.pidfd_open(monitor.pid)
    except ProcessLookupError:
        return
    try:
        if identify(monitor.pid) != monitor:
            return
        try:
            await readable(pidfd, MONITOR_SECONDS)
        except TimeoutError:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            await readable(pidfd, MONITOR_SECONDS)
    finally:
        os.close(pidfd)


def find_exec(
    exec_id: str, monitor: MonitorDir, programs: frozenset[str], inside: Collection[int]
) -> ProcessTrace | None:
    """The trace of an exec that the agent started but died before it wrote it down."""
    return find_process(exec_id, monitor, str(monitor.folder), programs, inside)


def find_process(
    process: str,
    monitor: MonitorDir,
    bundle: str,
    programs: frozenset[str],
    inside: Collection[int],
) -> ProcessTrace | None:
    """None: it was never started. conmon is known by its `bundle`, the process as its child, or
    where conmon was killed, too: as one of those `inside` the container.
    """
    try:
        monitor_pid = int(monitor.conmon_pid_file.read_text())
        pid = int(monitor.pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    watched = names(monitor_pid, bundle, programs)
    stat = proc_stat(pid)
    if stat is None:
        lives = False
    elif watched:
        lives = stat.parent == monitor_pid
    else:
        lives = pid in inside and began_before(stat, monitor.pid_file.stat().st_mtime_ns)
    return ProcessTrace(
        process,
        identify(pid) if lives else ProcessIdentity(pid, OVER),
        identify(monitor_pid) if watched else ProcessIdentity(monitor_pid, OVER),
    )


async def end_naming(name: str, programs: frozenset[str]) -> None:
    """Kills the `programs` that have `name` as an argument: monitors and runtimes of a run.

    And their children: a CRIU names nothing, and would go on without its runtime. All are found
    before one is killed: a runtime that ends with its conmon takes the name of its CRIU along.
    """
    doomed = [each for pid in pids_naming(name, programs) for each in (pid, *children(pid))]
    for pid in dict.fromkeys(doomed):
        await _end(pid)


async def end_exec(monitor: MonitorDir, programs: frozenset[str]) -> None:
    """Kills what a launch of an exec that failed half way may have left.

    conmon and the runtime name the exec's files; the process itself is a child of
    conmon and named in the pid file.
    """
    monitors = pids_naming(str(monitor.folder), programs)
    with suppress(FileNotFoundError, ValueError):
        stat = proc_stat(int(monitor.pid_file.read_text()))
        if stat is not None and stat.parent in monitors:
            monitors.append(stat.pid)
    for pid in monitors:
        await _end(pid)


async def _end(pid: int) -> None:
    """SIGKILL, and the end of it; reaped where it was our child."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        await over(pidfd, KILL_SECONDS)
    except (ProcessLookupError, TimeoutError):
        return
    finally:
        os.close(pidfd)
