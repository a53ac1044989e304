"""A tar stream of what is in a container: files, folders, links; nothing that acts when opened."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from itertools import islice

from wharfside_agent.archive.faults import refused
from wharfside_agent.archive.notes import Notes
from wharfside_agent.archive.openat import closing
from wharfside_agent.archive.tree import Found, walk
from wharfside_protocol.tar_headers import END, Facts, header, sparse_header
from wharfside_protocol.tar_members import BLOCK, Kind, padding

CHUNK = 256 * 1024

MAX_LINKED_BYTES = 16 * 1024 * 1024
"""Names of files that have several; of what does not fit each name gets a copy."""

_ENTRY = 200
"""What a remembered one takes beside its name."""

MAX_MEASURED = 50_000
"""Things counted before the first byte is sent (some 0.3 s)."""

MAX_EXTENTS = 10_000
"""Of a sparse file; behind them its holes are sent as zeros."""

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFLNK: Kind.LINK,
    stat.S_IFIFO: Kind.FIFO,
}


def measure(top: int) -> int | None:
    """About so many bytes has the stream of `top`; None: too many files to count them."""
    total, count = len(END), 0
    for found in islice(walk(top, Notes()), MAX_MEASURED + 1):
        count += 1
        total += BLOCK
        if stat.S_ISREG(found.stat.st_mode):
            data = min(found.stat.st_size, found.stat.st_blocks * 512)
            total += data + padding(data)
    return None if count > MAX_MEASURED else total


class Packing:
    """The stream of `top`, whose root is called `name`, handed to `out` piece by piece."""

    def __init__(
        self, top: int, name: str, out: Callable[[bytes | memoryview], None], notes: Notes
    ) -> None:
        self._top = top
        self._name = name
        self._out = out
        self.notes = notes
        self._linked: dict[tuple[int, int], str] = {}
        self._room = MAX_LINKED_BYTES

    def run(self) -> None:
        """
        Raises:
            WharfsideError: something cannot be read; what came out so far is cut off.
            OSError: `out` takes no more.
        """
        for found in walk(self._top, self.notes):
            self._add(found)
        self._out(END)

    def _add(self, found: Found) -> None:
        kind = _KINDS.get(stat.S_IFMT(found.stat.st_mode))
        name = f"{self._name}/{found.path}" if found.path else self._name
        facts = self._facts(found)
        if kind is None:
            self.notes.add(found.path, "a device or a socket: left out")
        elif kind is Kind.LINK:
            self._out(header(kind, name, facts, link=os.readlink("", dir_fd=found.pin)))
        elif kind is Kind.FILE and (first := self._first_name(found.stat, name)) is not None:
            self._out(header(Kind.HARD_LINK, name, facts, link=first))
        elif kind is Kind.FILE:
            self._file(found, name, facts)
        else:
            self._out(header(kind, name, facts))

    def _facts(self, found: Found) -> Facts:
        seen = found.stat
        return Facts(stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid, int(seen.st_mtime))

    def _first_name(self, facts: os.stat_result, name: str) -> str | None:
        if facts.st_nlink < 2:
            return None
        key = (facts.st_dev, facts.st_ino)
        first = self._linked.get(key)
        if first is None and self._room > 0:
            self._linked[key] = name
            self._room -= len(name) + _ENTRY
        return first

    def _file(self, found: Found, name: str, facts: Facts) -> None:
        """Opened by its pin: it is the plain file that was seen, and no device or FIFO since."""
        try:
            file = os.open(f"/proc/self/fd/{found.pin}", os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise refused(error, name) from error
        with closing(file):
            size = found.stat.st_size
            pieces = list(_pieces(file, found.stat))
            if pieces == [(0, size)] or not size:
                self._out(header(Kind.FILE, name, facts, size=size))
            else:
                self._out(sparse_header(name, facts, size, pieces))
            self._data(file, pieces, found.path)
            self._out(bytes(padding(sum(length for _, length in pieces))))

    def _data(self, file: int, pieces: list[tuple[int, int]], path: str) -> None:
        """Exactly what the header promised, also of a file that is cut meanwhile."""
        missing = 0
        for offset, length in pieces:
            at, end = offset, offset + length
            while at < end:
                data = _read(file, min(end - at, CHUNK), at, path)
                if not data:
                    data = bytes(min(end - at, CHUNK))
                    missing += len(data)
                self._out(data)
                at += len(data)
        if missing:
            self.notes.add(path, f"shrank by {missing} bytes while it was read: zeros instead")


def _read(file: int, most: int, offset: int, path: str) -> bytes:
    try:
        return os.pread(file, most, offset)
    except OSError as error:
        raise refused(error, path) from error


def _pieces(file: int, facts: os.stat_result) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of the data between the holes; of a file without holes all of it."""
    size, at = facts.st_size, 0
    if not size or facts.st_blocks * 512 >= size:
        yield from [(0, size)] if size else []
        return
    for _ in range(MAX_EXTENTS):
        try:
            begin = os.lseek(file, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole is left
                raise
            begin = size
        if begin >= size:
            yield size, 0  # so that GNU tar makes the hole at the end
            return
        at = min(os.lseek(file, begin, os.SEEK_HOLE), size)
        yield begin, at - begin
        if at == size:
            return
    yield at, size - at
