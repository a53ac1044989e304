"""The operator's own terminal: raw while a remote one is shown in it, and its size."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import tty
from typing import Self

from wharfside_client.cli.errors import NoTerminal
from wharfside_protocol.io_commands import TerminalSize

MOST_CELLS = 1000
"""The protocol's bound (io_frames.Cells)."""


def size_of(fd: int) -> TerminalSize | None:
    """The terminal's size; None where it knows none, as a serial line."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return None
    if not (rows and columns):
        return None
    return TerminalSize(rows=min(rows, MOST_CELLS), columns=min(columns, MOST_CELLS))


class RawTerminal:
    """Raw mode while it is open, within `Signals`: so whatever ends it, but for SIGKILL, leads
    through here and puts it back.

    SIGSTOP lets the shell change the mode: once it goes on, the terminal is made raw again.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._resized = asyncio.Event()
        self._before: list[int | list[bytes | int]] = []

    def __enter__(self) -> Self:
        """
        Raises:
            NoTerminal: it is none, or none any more.
        """
        try:
            self._before = termios.tcgetattr(self._fd)
        except termios.error as error:
            raise NoTerminal(f"descriptor {self._fd} is no terminal") from error
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, self._resized.set)
        loop.add_signal_handler(signal.SIGCONT, self._continue)
        self._make_raw()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(termios.error):  # it was closed (SIGHUP)
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGWINCH, signal.SIGCONT):
            loop.remove_signal_handler(number)

    async def resized(self) -> TerminalSize | None:
        """The size after the next change; changes that come meanwhile are one."""
        await self._resized.wait()
        self._resized.clear()
        return size_of(self._fd)

    def _continue(self) -> None:
        self._make_raw()
        self._resized.set()

    def _make_raw(self) -> None:
        # TCSANOW: to wait until the output is drained has no bound, and flushing drops what
        # was typed ahead
        with contextlib.suppress(termios.error):
            tty.setraw(self._fd, termios.TCSANOW)
