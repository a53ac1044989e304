"""The headers of a tar stream, ustar, pax and GNU; strict, and bounded in time and memory.

Python's own tarfile is neither: a header may make it read gigabytes at once, or hold the
interpreter for hours (CVE-2024-6232).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wharfside_protocol.errors import Invalid, Unsupported

BLOCK = 512

MAX_HEADER_BYTES = 64 * 1024
"""An extended header: twice a path of 4096 bytes, and room for attributes, which are left out."""

MAX_HEADERS = 16
"""Extended headers before one member; each is there once or twice."""

MAX_PIECES = 100_000
"""Of a sparse file."""

MAX_NAME_BYTES = 4096
MAX_ID = 2**32 - 2
MAX_BYTES = 2**63 - 1
MAX_SECONDS = 2**40
"""Of a time, before or after 1970; some 35,000 years."""

XATTR = "SCHILY.xattr."
"""The prefix of an extended attribute's pax record, as GNU tar and Go write it."""


class Kind(StrEnum):
    FILE = "file"
    HARD_LINK = "hard link"
    LINK = "symbolic link"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    FOLDER = "folder"
    FIFO = "FIFO"


_KINDS: Mapping[bytes, Kind] = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.LINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.FOLDER,
    b"6": Kind.FIFO,
}

Read = Callable[[int], bytes]
"""Exactly so many bytes of the stream, at most MAX_HEADER_BYTES; raises where it ends before."""


Pieces = tuple[tuple[int, int], ...]
"""(offset, bytes) each."""


@dataclass(frozen=True, slots=True)
class Member:
    """One header.

    Attributes:
        size: of the file, once it is unpacked.
        stored: bytes of it in the stream, without padding.
        pieces: where what is stored belongs; the rest are holes.
        mtime: seconds since 1970.
        xattrs: extended attributes, whatever they are: who unpacks it chooses.
    """

    kind: Kind
    name: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    stored: int = 0
    link: str = ""
    pieces: Pieces = ()
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def padding(size: int) -> int:
    """So many bytes follow `size` bytes of data, up to the next block."""
    return -size % BLOCK


def next_member(read: Read) -> Member | None:
    """The next header; None: the mark at the end of the archive.

    Raises:
        Invalid: it is no header.
        Unsupported: it is one of a kind that is not read.
    """
    more: dict[str, bytes] = {}
    for _ in range(MAX_HEADERS):
        block = read(BLOCK)
        if not any(block):
            if more:
                raise Invalid("not a tar, or damaged: an extended header of nothing")
            return None
        _check_sum(block)
        match block[156:157]:
            case b"x" | b"X":
                more.update(_records(_extended(block, read)))
            case b"g":
                _extended(block, read)  # of all members: comments, as of git-archive
            case b"L":
                more["path"] = _extended(block, read).rstrip(b"\0")
            case b"K":
                more["linkpath"] = _extended(block, read).rstrip(b"\0")
            case _:
                return _member(block, more, read)
    raise Invalid(f"not a tar: more than {MAX_HEADERS} extended headers for one member")


def _extended(block: bytes, read: Read) -> bytes:
    size = _number(block[124:136], "size", 0, MAX_HEADER_BYTES)
    return read(size + padding(size))[:size]


def _check_sum(block: bytes) -> None:
    told = _number(block[148:156], "checksum", 0, MAX_BYTES)
    if told != sum(block[:148]) + 8 * ord(" ") + sum(block[156:]):
        raise Invalid("not a tar, or damaged: the checksum of a header is wrong")


def _number(field: bytes, what: str, least: int, most: int) -> int:
    """Octal digits, or with the first bit set a binary number (GNU)."""
    try:
        if field[0] & 0x80:
            signed = bytes([field[0] & 0x7F | (field[0] & 0x40) << 1]) + field[1:]
            number = int.from_bytes(signed, "big", signed=True)
        else:
            number = int(field.strip(b" \0") or b"0", 8)
    except ValueError as error:
        raise Invalid(f"not a tar, or damaged: the {what} of a header is no number") from error
    return _bounded(number, what, least, most)


def _bounded(number: int, what: str, least: int, most: int) -> int:
    if not least <= number <= most:
        raise Invalid(f"a member of the tar has an impossible {what}: {number}")
    return number


def _records(data: bytes) -> Iterator[tuple[str, bytes]]:
    """pax: `LENGTH KEY=VALUE\\n`, the length being that of the whole record."""
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 8)
        digits = data[at:space] if space > at else b""
        if not digits.isdigit():
            raise Invalid("not a tar, or damaged: a pax record has no length")
        end = at + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space or not equals or data[end - 1 : end] != b"\n":
            raise Invalid("not a tar, or damaged: a pax record has another length")
        yield key.decode(errors="replace"), value
        at = end


def _member(block: bytes, more: Mapping[str, bytes], read: Read) -> Member:
    kind = _KINDS.get(block[156:157])
    if kind is None:
        raise Unsupported(
            f"the tar has a member of type {block[156:157]!r}, which is not read here: "
            "make it with --format=posix"
        )
    name = more.get("path") or _plain_name(block)
    if kind is Kind.FILE and name.endswith(b"/"):  # as tar had it before 1988
        kind = Kind.FOLDER
    stored = _field("size", block[124:136], more, MAX_BYTES) if kind is Kind.FILE else 0
    pieces: Pieces = ((0, stored),) if stored else ()
    size = stored
    if any(key.startswith("GNU.sparse") for key in more):
        name = more.get("GNU.sparse.name", name)
        size, pieces, used = _sparse(more, read)
        stored -= used
        if sum(length for _, length in pieces) != stored:
            raise Invalid("a sparse member of the tar has another size than its map")
    return Member(
        kind=kind,
        name=_text(name, "name"),
        mode=_number(block[100:108], "mode", 0, MAX_BYTES) & 0o7777,
        uid=_field("uid", block[108:116], more, MAX_ID),
        gid=_field("gid", block[116:124], more, MAX_ID),
        mtime=_mtime(block, more),
        size=size,
        stored=stored,
        link=_text(more.get("linkpath") or block[157:257].split(b"\0")[0], "link"),
        pieces=pieces,
        xattrs={key[len(XATTR) :]: more[key] for key in more if key.startswith(XATTR)},
    )


def _plain_name(block: bytes) -> bytes:
    name = block[:100].split(b"\0")[0]
    prefix = block[345:500].split(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _text(name: bytes, what: str) -> str:
    if len(name) > MAX_NAME_BYTES or b"\0" in name:
        raise Invalid(f"a member of the tar has an impossible {what}: {name[:64]!r}…")
    return name.decode(errors="surrogateescape")


def _field(key: str, field: bytes, more: Mapping[str, bytes], most: int) -> int:
    if key in more:
        return _decimal(more[key], key, most)
    return _number(field, key, 0, most)


def _decimal(text: bytes, what: str, most: int) -> int:
    if not (text.isdigit() and len(text) <= 19):
        raise Invalid(f"a member of the tar has an impossible {what}: {text[:64]!r}")
    return _bounded(int(text), what, 0, most)


def _mtime(block: bytes, more: Mapping[str, bytes]) -> int:
    if "mtime" not in more:
        return _number(block[136:148], "mtime", -MAX_SECONDS, MAX_SECONDS)
    try:
        seconds = float(more["mtime"][:64])
    except ValueError:
        seconds = math.nan
    if not abs(seconds) <= MAX_SECONDS:
        raise Invalid(f"a member of the tar has an impossible mtime: {more['mtime'][:64]!r}")
    return math.floor(seconds)


def _sparse(more: Mapping[str, bytes], read: Read) -> tuple[int, Pieces, int]:
    """GNU's sparse form 1.0: the map stands before the data, in decimal lines.

    Returns the size, the pieces, and how many bytes the map took.
    """
    if (more.get("GNU.sparse.major"), more.get("GNU.sparse.minor")) != (b"1", b"0"):
        raise Unsupported("the tar has a sparse file in an old form: make it with --format=posix")
    size = _decimal(more.get("GNU.sparse.realsize", b""), "size", MAX_BYTES)
    lines = _Lines(read)
    count = _decimal(lines.next(), "sparse map", MAX_PIECES)
    pieces, end = [], 0
    for _ in range(count):
        offset = _decimal(lines.next(), "sparse map", size)
        length = _decimal(lines.next(), "sparse map", size - offset)
        if offset < end:
            raise Invalid("a sparse member of the tar has a map out of order")
        end = offset + length
        pieces.append((offset, length))
    return size, tuple(pieces), lines.taken


class _Lines:
    """Lines out of whole blocks."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._buffer = b""
        self.taken = 0

    def next(self) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > BLOCK:
                raise Invalid("not a tar, or damaged: a sparse map without end")
            self._buffer += self._read(BLOCK)
            self.taken += BLOCK
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line
