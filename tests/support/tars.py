"""Tar streams as Python's tarfile writes and reads them, also such as nobody honest makes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable


def member(
    name: str, data: bytes | None = None, kind: bytes | None = None, **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    """A file with `data`, a folder without, or a thing of `kind` (tarfile's types)."""
    info = tarfile.TarInfo(name)
    info.type = kind or (tarfile.DIRTYPE if data is None else tarfile.REGTYPE)
    info.mode = 0o755 if data is None else 0o644
    info.size = len(data or b"")
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data or b""


def tar(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    """As another reader (Python's) finds them."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return {info.name: info for info in archive}


def content(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()
