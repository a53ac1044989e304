"""Cues between a test and a container, by FIFOs that both have: nobody has to sleep or poll."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.bounds import BOUND_S, bounded

from wharfside_protocol.specs import Mount

TARGET = "/cue"


@dataclass
class Cues:
    """`folder` is mounted at /cue. The container reads from `go` and writes to `ready`.

    The test holds both ends of both open (fifo(7): Linux allows O_RDWR), so neither side ever
    waits for the other to open, and a cue that is given early is kept.
    """

    folder: Path
    _go: int = field(init=False)
    _ready: int = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self._go = _fifo(self.folder / "go")
        self._ready = _fifo(self.folder / "ready")

    @property
    def mount(self) -> Mount:
        return Mount(source=str(self.folder), target=TARGET, readonly=False)

    def go(self, word: str = "0") -> None:
        """One `read` in the container gets this line."""
        os.write(self._go, f"{word}\n".encode())

    async def ready(self, within_s: float = BOUND_S) -> str:
        """The next line that the container writes."""
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()

        def seen() -> None:
            if not readable.done():
                readable.set_result(None)

        loop.add_reader(self._ready, seen)
        try:
            await bounded(readable, "a cue from the container", within_s)
        finally:
            loop.remove_reader(self._ready)
        return os.read(self._ready, 4096).decode().strip()

    def close(self) -> None:
        os.close(self._go)
        os.close(self._ready)


def _fifo(path: Path) -> int:
    os.mkfifo(path, 0o666)
    path.chmod(0o666)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


SLEEPS = ("/bin/sleep", "1000")
"""As PID 1 of its namespace it has no handler: TERM does nothing to it (pid_namespaces(7))."""

ENDS_ON_CUE = shell("read code </cue/go; exit $code")
"""Ends with the code that it is told."""

OBEYS_TERM = shell("trap 'exit 7' TERM; echo set >/cue/ready; while :; do sleep 1000 & wait; done")
"""Says when its handler is set, and ends with 7 at TERM."""
