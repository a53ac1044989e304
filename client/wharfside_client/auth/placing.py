"""Files put in their place whole: by rename, synced, with the mode they have from the start."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from wharfside_client.errors import LocalFiles

PRIVATE = 0o600
PUBLIC = 0o644


def make_folder(path: Path) -> None:
    """One for its owner alone; one that is there stays as it is.

    Raises:
        LocalFiles: it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LocalFiles(f"{path} cannot be made: {error.strerror}", path=str(path)) from error


def place(path: Path, data: str | bytes, mode: int = PRIVATE) -> None:
    """Writes `data` to `path`, in a folder that is made (0700) where it is missing.

    A reader finds what was there before or all that is new. nats-py spins for ever on a
    credentials file that ends in the middle, and a key that is readable for a moment is lost.

    Raises:
        LocalFiles: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(path, data.encode() if isinstance(data, str) else data, mode)
    except OSError as error:
        raise LocalFiles(f"{path} cannot be written: {error.strerror}", path=str(path)) from error


def _replace(path: Path, data: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """rename(2) itself reaches the disk with its folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
