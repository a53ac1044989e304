"""Keeps the log of a living process within its limits: rename, reopen, remove the oldest.

conmon writes up to 106 MB of log a second, so the size is looked at soon after a write, and
not again until so much may have been written that a look is worth it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from wharfside_agent.ports.logs import Growth
from wharfside_agent.runtime.ctl import REOPEN_LOG, tell
from wharfside_agent.runtime.log_files import LogFiles

log = structlog.get_logger(__name__)

FASTEST = 128 * 1024 * 1024
"""Bytes a second; conmon's best is 106 MB."""

SHORTEST_LOOK_S = 0.01
LONGEST_LOOK_S = 1.0

REOPEN_S = 1.0
"""conmon reopens within a millisecond; one that was stopped, or lost the line, is told again."""

AGAIN_S = 5.0
"""After what a full disk or the like has refused."""


@dataclass(frozen=True, slots=True)
class LogLimits:
    """`max_files` of about `max_bytes` each, for one process of one run; at least 2."""

    max_bytes: int = 16 * 1024 * 1024
    max_files: int = 5


class Rotation:
    """Of one log, from now until `close`; `folder` is the bundle of its conmon."""

    def __init__(self, files: LogFiles, folder: Path, limits: LogLimits, growth: Growth) -> None:
        self._files = files
        self._folder = folder
        self._limits = limits
        self._growth = growth
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"rotation of {files.path.name}"
        )

    def close(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        """What grew while no agent was there is looked at first."""
        if self._files.moved:
            await self._begun()  # the former life may have asked for it already
        while True:
            try:
                await self._keep()
                return
            except FileNotFoundError:
                return  # removed, with its container
            except OSError as error:
                log.warning("log-not-rotated", log=str(self._files.path), error=str(error))
                await asyncio.sleep(AGAIN_S)

    async def _keep(self) -> None:
        while True:
            self._drop_oldest()
            if not self._files.moved:
                await self._grown()
                self._files.move()
            if not await self._reopened():
                return
            self._files.moved_on()

    def _drop_oldest(self) -> None:
        while len(self._files.files) > self._limits.max_files:
            self._files.drop_oldest()

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

    async def _reopened(self) -> bool:
        """Until conmon writes the next file; False: it is over, and will not."""
        while not self._files.path.exists():
            try:
                tell(self._folder, REOPEN_LOG)
            except OSError:
                return self._files.path.exists()
            await self._begun()
        return True

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
