"""A tar stream as it comes: read forwards, and never more at once than was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wharfside_protocol.errors import Invalid

CHUNK = 256 * 1024


class Incoming:
    """`read` gives some bytes, at most so many; b"": there are no more."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def exactly(self, size: int) -> bytes:
        """Raises Invalid: the stream ends before."""
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes as they come; raises Invalid where the stream ends before."""
        while size:
            data = self._read(min(size, CHUNK))
            if not data:
                raise Invalid("the archive is cut off: send it again, whole", cut=True)
            size -= len(data)
            yield data

    def rest(self) -> None:
        """What comes after the archive's end: tar fills up its last record."""
        while self._read(CHUNK):
            pass
