"""A process of ours: started, ended when asked, and seen when it ends by itself."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from deploy.quickstart.failures import QuickstartFailed

T = TypeVar("T")

STOP_S = 20.0
LOG_LINES = 6
# Also a quickstart that is killed with -9 leaves none behind; setpriv(1) is in util-linux.
TIED = ("setpriv", "--pdeathsig", "KILL", "--")


class Part:
    """One program, as often as it is started, with its log. `crash` is set for good by an end
    that nobody asked for."""

    def __init__(self, log: Path, *command: str) -> None:
        self.log = log
        self.crash = asyncio.Event()
        self._command = command
        self._process: Process | None = None
        self._ending = False
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        self._ending = False
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *TIED,
                *self._command,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: these go last
            )
        self._watching = asyncio.create_task(self._watch(self._process))

    async def stop(self) -> None:
        """SIGTERM, and KILL after STOP_S."""
        self._ending = True
        if self._process is None or not self.running:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        self._ending = True
        if self._process is not None and self.running:
            self._process.kill()
            await self._process.wait()

    async def while_up(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises.

        Raises:
            QuickstartFailed: this part ended by itself meanwhile.
        """
        working, crashing = asyncio.ensure_future(work), asyncio.ensure_future(self.crash.wait())
        try:
            await asyncio.wait({working, crashing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise QuickstartFailed(f"{self.log.stem} ended by itself: {self.words()}")
            return working.result()
        finally:
            working.cancel()
            crashing.cancel()

    def words(self) -> str:
        """Where its log is, and the end of it."""
        last = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n  ".join([f"see {self.log}", *last])

    async def _watch(self, process: Process) -> None:
        await process.wait()
        if not self._ending:
            self.crash.set()
