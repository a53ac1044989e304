"""Keeps the log of a living process within its limits: rename, reopen, remove the oldest.

The size is looked at soon after a write, and not again until so much may have been written
that a look is worth it: so a file is larger than its limit by what a look or two takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from wharfside_agent.ports.logs import Growth
from wharfside_agent.runtime.ctl import Ctl
from wharfside_agent.runtime.log_files import LogFiles
from wharfside_protocol.errors import RuntimeFailed

log = structlog.get_logger(__name__)

FASTEST = 512 * 1024 * 1024
"""Bytes of log a second; conmon was seen to write 414 MB."""

SHORTEST_LOOK_S = 0.01
LONGEST_LOOK_S = 1.0

REOPEN_S = 1.0
"""conmon reopens within a millisecond of reading the line; else it has not got it."""

AGAIN_S = 5.0
"""After what a full disk or the like has refused."""


@dataclass(frozen=True, slots=True)
class LogLimits:
    """`max_files` of about `max_bytes` each, for one process of one run; at least 2."""

    max_bytes: int = 16 * 1024 * 1024
    max_files: int = 5


class Rotation:
    """Of one log, from now until `close`."""

    def __init__(self, files: LogFiles, ctl: Ctl, limits: LogLimits, growth: Growth) -> None:
        self._files = files
        self._ctl = ctl
        self._limits = limits
        self._growth = growth
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"rotation of {files.path.name}"
        )

    def close(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        """What grew while no agent was there is looked at first."""
        while True:
            try:
                await self._keep()
            except FileNotFoundError:
                return  # removed, with its container
            except (OSError, RuntimeFailed) as error:
                log.warning("log-not-rotated", log=str(self._files.path), error=str(error))
                await asyncio.sleep(AGAIN_S)

    async def _keep(self) -> None:
        """Room is made before the next file is begun: a process may end at any time, and its log
        has no file too many then. And not before the last one is renamed: it is the names of those
        before it that tell where the one without a number begins."""
        await self._drop_oldest(self._limits.max_files)
        while True:
            asked = self._files.moved
            if not asked:
                await self._grown()
                self._files.move()
            await self._drop_oldest(self._limits.max_files - 1)
            await self._reopened(asked=asked)
            self._files.moved_on()

    async def _drop_oldest(self, most: int) -> None:
        """Until there are `most`. In a thread: some file systems take tens of milliseconds.

        What was begun is done, also where the process ends meanwhile: nobody else knows of it.
        """
        while len(self._files.files) > most:
            oldest = self._files.drop_oldest()
            await asyncio.shield(asyncio.to_thread(oldest.unlink, missing_ok=True))

    async def _grown(self) -> None:
        """Until the file is as large as one may be."""
        while (size := self._size()) < self._limits.max_bytes:
            await self._rung(self._files.path, partial(self._larger_than, size))
            # Whoever writes fast is looked at no more often than that could fill the file.
            soon = (self._limits.max_bytes - size) / FASTEST
            await asyncio.sleep(min(max(soon, SHORTEST_LOOK_S), LONGEST_LOOK_S))

    def _size(self) -> int:
        return self._files.path.stat().st_size

    def _larger_than(self, size: int) -> bool:
        return self._size() > size

    async def _reopened(self, *, asked: bool) -> None:
        """Until conmon writes the next file. `asked`: perhaps it was told to already.

        Told twice it would begin two, and the first is gone with what it wrote to it. So before
        it is told again, it has read all that it was told, and has had its time.
        """
        while not self._files.path.exists():
            if asked:
                await self._ctl.idle()
                await self._begun()
                if self._files.path.exists():
                    return
            asked = True
            await self._ctl.reopen_log()
            await self._begun()

    async def _begun(self) -> None:
        """Until the next file has come to its place, REOPEN_S at most."""
        try:
            async with asyncio.timeout(REOPEN_S):
                while not self._files.path.exists():
                    await self._rung(self._files.following, self._files.path.exists)
        except TimeoutError:
            return

    async def _rung(self, path: Path, done: Callable[[], bool]) -> None:
        """Until something happens to the file, unless it is `done`."""
        rung = asyncio.Event()
        end = self._growth.once(str(path), rung.set)
        try:
            if not done():
                await rung.wait()
        finally:
            end()
