"""The agent under test as a process: started, and killed again, many times a minute.

Ready is what it tells its service manager (sd_notify(3)); its log goes into a file, so nobody has
to read a pipe of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.agent import AgentProcess

READY_S = 30.0
STOP_S = 30.0


class NeverReady(Exception):
    """The agent did not get ready; its log's end is told."""


@dataclass
class ChaosAgent:
    """`module`: what is run instead of the agent itself, to break it on purpose."""

    config: AgentProcess
    module: tuple[str, ...] = ("wharfside_agent",)
    environment: dict[str, str] = field(default_factory=dict)
    process: Process | None = None

    def __post_init__(self) -> None:
        self.config.write_config()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        # An abstract name: no folder's path is too long for it (unix(7)).
        self._address = f"wharfside-chaos-{os.getpid()}-{id(self)}"
        self._socket.bind("\0" + self._address)

    @property
    def log(self) -> Path:
        return self.config.log

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def start(self, **environment: str) -> bool:
        """Whether it got ready; False where it ended before, as one told to die at a step does.

        Raises:
            NeverReady: neither within READY_S.
        """
        self._forget_notices()
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self.module,
                "run",
                "--config",
                str(self.config.config),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ
                | self.environment
                | environment
                | {"NOTIFY_SOCKET": f"@{self._address}"},
                start_new_session=True,
            )
        ready = asyncio.create_task(self._ready())
        ended = asyncio.create_task(self.process.wait())
        done, pending = await asyncio.wait(
            {ready, ended}, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        await asyncio.wait(pending) if pending else None
        if not done:
            raise NeverReady(f"not ready within {READY_S} s:\n{self.log_tail()}")
        return ready in done

    async def _ready(self) -> None:
        loop = asyncio.get_running_loop()
        while await loop.sock_recv(self._socket, 4096) != b"READY=1":
            pass

    def _forget_notices(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)

    async def kill(self) -> int | None:
        """kill -9; its pid, None where it was dead already."""
        if self.process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        return self.process.pid

    async def ended_within(self, seconds: float) -> bool:
        assert self.process is not None
        try:
            async with asyncio.timeout(seconds):
                await self.process.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> int | None:
        """SIGTERM; its exit status, None where it took too long and was killed."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        if await self.ended_within(STOP_S):
            return self.process.returncode
        await self.kill()
        return None

    def close(self) -> None:
        self._socket.close()

    def log_tail(self, characters: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""
