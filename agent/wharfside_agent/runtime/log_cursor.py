"""Reads a log's bytes in order over its files, and knows what is missing."""

from __future__ import annotations

import asyncio
import os

from wharfside_agent.ports.logs import Growth
from wharfside_agent.runtime.log_files import LogFiles


class LogCursor:
    """A place in a log that only goes forward. One reader.

    Attributes:
        offset: of the next byte.
    """

    def __init__(self, files: LogFiles, growth: Growth, offset: int) -> None:
        self._files = files
        self._growth = growth
        self.offset = offset
        self._fd = -1
        self._start = 0
        self._seen = offset
        self._held: dict[int, int] = {}
        self._rung = asyncio.Event()

    def peek(self, most: int) -> bytes:
        """What lies at `offset` in this file; it is kept open, also when rotation removes it."""
        if self._fd < 0 and not self._open():
            return b""
        block = os.pread(self._fd, most, self.offset - self._start)
        self._seen = self.offset + len(block)
        return block

    def before(self, most: int) -> bytes:
        """At most so much of what lies before `offset` in the same file."""
        if self.offset < self._files.first or (self._fd < 0 and not self._open()):
            return b""
        at = max(self.offset - most, self._start)
        return os.pread(self._fd, self.offset - at, at - self._start)

    def gap(self) -> int:
        """So many bytes at `offset` are gone; they are passed over."""
        begun = self.offset
        if self._fd < 0:
            self.offset = max(self.offset, self._files.first)
            if not self._open() and self.complete:
                # with its container, while this was read
                self.offset = max(self.offset, self._files.after(self._start))
        return self.offset - begun

    def behind(self) -> int:
        """Bytes of the log from `offset` to its end."""
        return self._files.end - self.offset

    @property
    def complete(self) -> bool:
        """Nothing is added to this file any more: ask before `peek`, not after."""
        start = self._files.holding(self.offset) if self._fd < 0 else self._start
        return self._files.complete(start)

    def next_file(self) -> bool:
        """Goes on behind this file, which is complete and read. False: it is the last."""
        if self._start == self._files.start or self._fd < 0:
            return False
        self._shut()
        return True

    async def more(self) -> None:
        """Until there is more than `peek` saw, or no more will come to this file."""
        self._rung.clear()
        forget = self._files.on_change(self._rung.set)
        # By the open file itself, whatever name rotation gives it.
        end = self._growth.once(f"/proc/self/fd/{self._fd}", self._rung.set)
        try:
            if not self.complete and not self._has_grown():
                await self._rung.wait()
        finally:
            end()
            forget()

    def _has_grown(self) -> bool:
        return self._fd >= 0 and os.fstat(self._fd).st_size > self._seen - self._start

    def hold(self) -> None:
        """Opens what is still to be read: it is about to be removed with its container."""
        for start in self._files.files:
            ahead = start > self._start or self._fd < 0
            if ahead and start not in self._held and (fd := self._files.open(start)) >= 0:
                self._held[start] = fd

    def close(self) -> None:
        """Also ends `more`."""
        self._shut()
        while self._held:
            os.close(self._held.popitem()[1])
        self.wake()

    def wake(self) -> None:
        """Ends `more`."""
        self._rung.set()

    def _shut(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> bool:
        self._start = self._files.holding(self.offset)
        held = self._held.pop(self._start, None)
        self._fd = self._files.open(self._start) if held is None else held
        return self._fd >= 0
