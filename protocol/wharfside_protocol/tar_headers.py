"""What a tar stream is made of: headers as GNU tar and Go read them; pure."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wharfside_protocol.tar_members import BLOCK, XATTR, Kind, padding

END = bytes(2 * BLOCK)

_TYPES = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.HARD_LINK: tarfile.LNKTYPE,
    Kind.LINK: tarfile.SYMTYPE,
    Kind.FOLDER: tarfile.DIRTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a header says of its member besides its name and data."""

    mode: int
    uid: int
    gid: int
    mtime: int
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def header(kind: Kind, name: str, facts: Facts, *, size: int = 0, link: str = "") -> bytes:
    """`name` without a slash at its end; a file's data and padding follow."""
    return _encode(_info(kind, name, facts, link), size)


def sparse_header(name: str, facts: Facts, size: int, pieces: Sequence[tuple[int, int]]) -> bytes:
    """A file of which only `pieces` (offset, bytes) follow: GNU's form 1.0, with its map."""
    numbers = [len(pieces), *(number for piece in pieces for number in piece)]
    table = "".join(f"{number}\n" for number in numbers).encode()
    table += bytes(padding(len(table)))
    info = _info(Kind.FILE, "GNUSparseFile.0/sparse", facts)
    info.pax_headers = {
        **info.pax_headers,
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": name,
        "GNU.sparse.realsize": str(size),
    }
    return _encode(info, len(table) + sum(length for _, length in pieces)) + table


def _info(kind: Kind, name: str, facts: Facts, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = _TYPES[kind]
    info.linkname = link
    info.mode, info.uid, info.gid, info.mtime = facts.mode, facts.uid, facts.gid, facts.mtime
    info.pax_headers = {
        f"{XATTR}{name}": value.decode(errors="surrogateescape")
        for name, value in facts.xattrs.items()
    }
    return info


def _encode(info: tarfile.TarInfo, size: int) -> bytes:
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
