"""The logs in the agent's log folder; those of living processes are kept within limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from wharfside_agent.core.log_lines import Heads
from wharfside_agent.core.placement import Places, RunPlace
from wharfside_agent.ports.logs import Growth, LogName, LogWish, Tail
from wharfside_agent.runtime import log_search
from wharfside_agent.runtime.ctl import Ctl
from wharfside_agent.runtime.log_cursor import LogCursor
from wharfside_agent.runtime.log_files import LogFiles
from wharfside_agent.runtime.log_keeping import Keeping, beyond, logs_in, remove
from wharfside_agent.runtime.log_reader import LogReader
from wharfside_agent.runtime.log_rotation import LogLimits, Rotation
from wharfside_protocol.commands import Output
from wharfside_protocol.errors import Invalid
from wharfside_protocol.states import INIT

SCAN_BYTES = 4 * 1024 * 1024
"""At most so much of a log is read for its head (some 50 ms): the other stream may be silent."""

_CHUNK_BYTES = 256 * 1024
_KEEPING = Keeping()


class DiskLogs:
    """ports.logs.Logs, and what the driver needs of them."""

    def __init__(
        self, places: Places, growth: Growth, limits: LogLimits, keeping: Keeping = _KEEPING
    ) -> None:
        self._places = places
        self._growth = growth
        self._limits = limits
        self._keeping = keeping
        self._written: dict[LogName, LogFiles] = {}
        self._users: dict[object, str] = {}

    def close(self) -> None:
        """Who still waits for a log to grow is not told any more. Until then the inotify stays
        open: to make and end one for each short container took 0.2 ms of the loop's time."""
        self._growth.close()

    def limit(self, limits: LogLimits, keeping: Keeping) -> None:
        """For processes that begin from now on."""
        self._limits = limits
        self._keeping = keeping

    def watch(self, name: LogName, ctl: Ctl | None, *, new: bool) -> WrittenLog:
        """Keeps the log of a process within limits; without `ctl` it has none."""
        path = self._path(name)
        files = LogFiles(path, []) if new else LogFiles.found(path)
        rotation = None if ctl is None else Rotation(files, ctl, self._limits, self._growth)
        self._written[name] = files
        self._users[files] = name.incarnation
        if new:
            self._forget_old(name)

        def forget() -> None:
            if rotation is not None:
                rotation.close()
            if self._written.get(name) is files:
                del self._written[name]
            self._leave(files)

        return WrittenLog(files, forget)

    def _forget_old(self, name: LogName) -> None:
        """In a thread, as rotation removes; who reads what goes has the rest nevertheless."""
        if name.process == INIT and name.run <= self._keeping.runs:
            return
        living = {(n.run, n.process) for n in self._written if n.incarnation == name.incarnation}
        old = beyond(self._path(name).parent, self._keeping, name.run, living)
        if old:
            self.hold(name.incarnation)
            asyncio.get_running_loop().run_in_executor(None, remove, old)

    def _leave(self, user: object) -> None:
        self._users.pop(user, None)

    def runs(self, incarnation: str, process: str) -> Sequence[int]:
        folder = RunPlace(self._places, incarnation, 1).logs
        return sorted(run for run, name in logs_in(folder) if name == process)

    def where(self, name: LogName) -> str | None:
        """Under the name that stays, also in the moment of a rotation."""
        files = self._files(name)
        return str(files.path) if files.file(files.start).exists() else None

    def end(self, name: LogName) -> int:
        return self._files(name).end

    def since(self, name: LogName, time: str) -> int:
        return log_search.since(self._files(name), time)

    async def tail(self, name: LogName, lines: int, wish: LogWish) -> Tail:
        return await log_search.tail(self._files(name), lines, wish)

    def source(self, name: LogName, wish: LogWish) -> LogReader:
        files = self._files(name)
        end = files.end
        if wish.offset > end:
            raise Invalid(
                f"position {wish.offset} of run {name.run}: its log has {end} bytes so far",
                end=end,
            )
        reader = LogReader(
            LogCursor(files, self._growth, wish.offset),
            name.run,
            wish,
            None if wish.follow else end,
            lambda: self._leave(reader),
        )
        self._users[reader] = name.incarnation
        return reader

    def hold(self, incarnation: str) -> None:
        """Its logs are about to be removed; who reads one has the rest of it nevertheless."""
        for user, read in self._users.items():
            if read == incarnation and isinstance(user, LogReader):
                user.hold()

    def _files(self, name: LogName) -> LogFiles:
        return self._written.get(name) or LogFiles.found(self._path(name), whole=True)

    def _path(self, name: LogName) -> Path:
        return RunPlace(self._places, name.incarnation, name.run).log(name.process)


class WrittenLog:
    """The log of a process that lives, or did when the agent began to watch it."""

    def __init__(self, files: LogFiles, forget: Callable[[], None]) -> None:
        self._files = files
        self._forget = forget

    def output(self, limit: int) -> Output:
        """The head of each stream, from at most SCAN_BYTES; long logs belong into a thread."""
        heads, files = Heads(limit), self._files
        begun = scanned = files.first
        for start in files.files:
            fd = files.open(start)
            if fd < 0:
                continue
            with os.fdopen(fd, "rb") as log:
                while not heads.full and scanned - begun < SCAN_BYTES:
                    if not (chunk := log.read(_CHUNK_BYTES)):
                        break
                    heads.feed(chunk)
                    scanned += len(chunk)
        cut = begun > 0 or (not heads.full and scanned < files.end)
        return heads.output(cut=cut)

    def close(self, *, over: bool) -> None:
        """`over`: its process is, so this log is whole; else another life will watch it."""
        self._forget()
        if over:
            self._files.finish()
