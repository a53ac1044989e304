"""A command in a terminal of its own, and its screen as a person sees it (pyte).

The other end of a real pty is fed into a terminal emulator, which also answers what programs
ask of a terminal. The process leads a session whose terminal it is, so that a change of the
window's size comes to it as SIGWINCH, and keys as signals where it wants them so.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import pyte
from tests.integration.bounds import BOUND_S, bounded
from tests.support.eventually import eventually

TAKE_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
READ_BYTES = 65536


class _Emulator(pyte.Screen):
    """pyte's screen, whose answers (where is the cursor?) go back to the program."""

    def __init__(self, columns: int, lines: int, answer: Callable[[bytes], None]) -> None:
        self._answer = answer
        super().__init__(columns, lines)

    def write_process_input(self, data: str) -> None:
        self._answer(data.encode())


class Screen:
    """
    Attributes:
        raw: all that was written to it.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._ours, self.theirs = os.openpty()
        termios.tcsetwinsize(self.theirs, (rows, columns))
        os.set_blocking(self._ours, False)
        self.raw = b""
        self._emulator = _Emulator(columns, rows, self.send)
        self._stream = pyte.ByteStream(self._emulator)
        self._changed = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def lines(self) -> list[str]:
        """The rows, without the blanks at their ends."""
        return [line.rstrip() for line in self._emulator.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    @property
    def unwrapped(self) -> str:
        """The rows as one: a message that is longer than a row is found in it."""
        return "".join(self._emulator.display)

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column, from 0."""
        return self._emulator.cursor.y, self._emulator.cursor.x

    def reversed_on(self, row: int) -> str:
        """What stands in reverse video in a row, such as a status line."""
        cells = self._emulator.buffer[row]
        return "".join(
            cells[x].data for x in range(self._emulator.columns) if cells[x].reverse
        ).strip()

    @property
    def modes(self) -> list[int | list[bytes | int]]:
        return termios.tcgetattr(self.theirs)

    @property
    def is_raw(self) -> bool:
        flags = self.modes[3]
        assert isinstance(flags, int)
        return not flags & (termios.ICANON | termios.ECHO | termios.ISIG)

    async def made_raw(self) -> None:
        """Until what is typed goes through as it is."""
        await eventually(lambda: self.is_raw, "raw mode", within_s=BOUND_S)

    async def start(self, script: str, *arguments: str, env: Mapping[str, str]) -> None:
        """Runs Python source in it."""
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            TAKE_TERMINAL + script,
            *arguments,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            env={**env, "TERM": "xterm-256color"},
            start_new_session=True,
        )

    def send(self, keys: bytes | str) -> None:
        """Types; what is typed here is far less than a terminal's queue holds."""
        os.write(self._ours, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, rows: int, columns: int) -> None:
        self._emulator.resize(rows, columns)
        termios.tcsetwinsize(self._ours, (rows, columns))

    async def until(self, seen: Callable[[], object], what: str) -> None:
        """Waits for `seen` of this screen.

        Raises:
            TooLate: with what it shows instead.
        """
        try:
            await bounded(self._until(seen), what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.framed()}") from error

    async def shows(self, text: str) -> None:
        await self.until(lambda: text in self.text, f"{text!r} on the screen")

    def framed(self) -> str:
        """The screen to be looked at."""
        width = self._emulator.columns
        edge = "+" + "-" * width + "+"
        return "\n".join([edge, *(f"|{line.ljust(width)}|" for line in self.lines), edge])

    async def ended(self) -> int:
        """The process's exit status, once it has ended and all that it wrote was read."""
        assert self.process is not None
        status = await bounded(self.process.wait(), f"the end; the screen:\n{self.framed()}")
        self._read()
        return status

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await bounded(self.process.wait(), "its end by KILL")
        os.close(self._ours)
        os.close(self.theirs)

    async def _until(self, seen: Callable[[], object]) -> None:
        while not seen():
            self._changed.clear()
            await self._changed.wait()

    def _read(self) -> None:
        try:
            while data := os.read(self._ours, READ_BYTES):
                self.raw += data
                self._stream.feed(data)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        self._changed.set()


@asynccontextmanager
async def open_screen(
    script: str,
    arguments: Sequence[str] = (),
    *,
    env: Mapping[str, str],
    rows: int = 24,
    columns: int = 80,
) -> AsyncIterator[Screen]:
    """A screen with Python source running in it; afterwards the process is gone."""
    screen = Screen(rows, columns)
    try:
        await screen.start(script, *arguments, env=env)
        yield screen
    finally:
        await screen.close()
