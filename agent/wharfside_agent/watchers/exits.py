"""Sees every process end: by pidfds of it and of its conmon, then by what conmon wrote.

conmon's own end is the doorbell. It writes `persist/exit` as its last act (conmon.c),
so by then the log is whole and the file is there: no inotify, no exit folder.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wharfside_agent.core.exit_status import Ended
from wharfside_agent.ports.watcher import MonitorGone, ProcessIdentity
from wharfside_agent.procs import proc_stat
from wharfside_agent.watchers import pidfd
from wharfside_agent.watchers.witnesses import Scene, read_exit_file, testimony
from wharfside_protocol.exits import StatusSource

MONITOR_SECONDS = 10.0
"""A conmon that lives on so long after its process is stopped, or held by an attach
client that does not read: the exit is then told without it."""

AGAIN_SECONDS = 0.2

REAP_SECONDS = 10.0
"""Another parent (pid 1) reaps an orphan within 2 s, or never."""


@dataclass(frozen=True, slots=True)
class _Rules:
    kernel_tells: bool
    monitor_seconds: float
    now: Callable[[], int]


class PidfdExits:
    """ports.watcher.Exits."""

    def __init__(
        self, *, monitor_seconds: float = MONITOR_SECONDS, now: Callable[[], int] = time.time_ns
    ) -> None:
        self._rules = _Rules(pidfd.kernel_tells_exits(), monitor_seconds, now)

    def arm(
        self, process: ProcessIdentity, monitor: ProcessIdentity, persist: Path
    ) -> PidfdExitWatch:
        return PidfdExitWatch(process, monitor, persist, self._rules)


class PidfdExitWatch:
    """ports.watcher.ExitWatch. Comes to its end by itself, whether or not `next` is asked."""

    def __init__(
        self, process: ProcessIdentity, monitor: ProcessIdentity, persist: Path, rules: _Rules
    ) -> None:
        self._rules = rules
        self._persist = persist
        self._told: asyncio.Queue[Ended | MonitorGone] = asyncio.Queue(maxsize=2)
        self._ended: Ended | None = None
        self._seen_at: int | None = None
        self._monitor_lost = False
        self._timer: asyncio.TimerHandle | None = None
        self._reaping: select.epoll | None = None
        self._pid = process.pid
        monitor_fd, _ = pidfd.open_pidfd(monitor)
        process_fd, parent = pidfd.open_pidfd(process)
        self._monitor, self._process = _Eye(monitor_fd), _Eye(process_fd)
        self._conmons_child = parent in (None, monitor.pid)
        # A zombie is as good as gone: nobody here saw when that came to be.
        self._found_over = process_fd < 0 or pidfd.is_over(process_fd)
        self._monitor.open(self._on_monitor)
        self._process.open(self._on_process)
        self._look()

    @property
    def exit_fd(self) -> int:
        return self._process.fd

    @property
    def ended(self) -> Ended | None:
        return self._ended

    async def next(self) -> Ended | MonitorGone:
        if self._ended is not None and self._told.empty():
            return self._ended
        return await self._told.get()

    def look(self) -> None:
        self._monitor.look()
        self._process.look()
        self._look()

    def close(self) -> None:
        self._stop_waiting()
        self._process.close()
        self._monitor.close()

    def _on_process(self) -> None:
        if not self._found_over:
            self._seen_at = self._rules.now()
        self._look()

    def _on_monitor(self) -> None:
        pidfd.reap(self._monitor.fd)
        self._look()

    def _look(self) -> None:
        """What is to be done by what is known now: at arming, and after either's end."""
        self._or_again(self._look_once)

    def _or_again(self, act: Callable[[], None]) -> None:
        """No descriptor may be left to look with: then again, a little later."""
        try:
            act()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._or_again, act)

    def _look_once(self) -> None:
        if self._ended is not None:
            return
        if not self._process.over:
            # If both ended in this round of the loop, the process's callback is yet to come.
            if self._monitor.over and not pidfd.is_over(self._process.fd):
                self._tell_monitor_gone()
        elif self._monitor.over:
            self._conclude()
        elif self._timer is None:
            self._call_later(self._rules.monitor_seconds, self._tell_end)

    def _tell_monitor_gone(self) -> None:
        if self._monitor_lost:
            return
        self._monitor_lost = True
        stat = proc_stat(self._pid)
        if stat is not None and stat.parent == os.getpid():
            witness = StatusSource.WAIT
        else:
            witness = StatusSource.PIDFD if self._rules.kernel_tells else StatusSource.NONE
        self._told.put_nowait(MonitorGone(witness))

    def _conclude(self) -> None:
        """Both are over. Without a file the status is the reaper's; wait until it has reaped."""
        if not self._tell_if_known() and self._reaping is None:
            self._await_reaping()

    def _tell_if_known(self) -> bool:
        ended = self._testimony()
        hopeless = self._process.fd < 0 or not self._rules.kernel_tells
        if ended.source is StatusSource.NONE and ended.exit_file is None and not hopeless:
            return False
        self._tell(ended)
        return True

    def _await_reaping(self) -> None:
        """A pidfd hangs up once its process is reaped; the loop itself cannot ask for that."""
        self._reaping = select.epoll()
        self._reaping.register(self._process.fd, 0)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._reaping.fileno(), self._tell_end)
        self._call_later(REAP_SECONDS, self._tell_end)

    def _tell_end(self) -> None:
        self._or_again(lambda: self._tell(self._testimony()))

    def _tell(self, ended: Ended) -> None:
        self._stop_waiting()
        if self._ended is None:
            self._ended = ended
            self._told.put_nowait(ended)

    def _testimony(self) -> Ended:
        scene = Scene(
            fd=self._process.fd,
            conmons_child=self._conmons_child,
            monitor_lost=self._monitor_lost,
            seen_at=self._seen_at,
            now=self._rules.now(),
        )
        return testimony(scene, read_exit_file(self._persist))

    def _call_later(self, seconds: float, then: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._reaping is not None:
            asyncio.get_running_loop().remove_reader(self._reaping.fileno())
            self._reaping.close()
        self._timer = self._reaping = None


class _Eye:
    """A pidfd on the loop, until its process is over."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.over = fd < 0

    def open(self, then: Callable[[], None]) -> None:
        if not self.over:
            asyncio.get_running_loop().add_reader(self.fd, self._seen, then)

    def _seen(self, then: Callable[[], None]) -> None:
        self._shut()
        then()

    def look(self) -> None:
        """Without the loop's word."""
        if not self.over and pidfd.is_over(self.fd):
            self._shut()

    def _shut(self) -> None:
        if not self.over:
            asyncio.get_running_loop().remove_reader(self.fd)
        self.over = True

    def close(self) -> None:
        self._shut()
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1
