"""One change of an auth folder after another: of two at once the one that saves last would undo
the other, and a key that was revoked by it would be let in again."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from wharfside_client.auth.errors import FolderBusy

WAIT_S = 10.0
"""A change takes milliseconds, and some seconds with a certificate for each of many users."""

_AGAIN_S = 0.05

P = ParamSpec("P")
R = TypeVar("R")


def in_turn(change: Callable[Concatenate[Path, P], R]) -> Callable[Concatenate[Path, P], R]:
    """`change` of a folder, alone in it from its first look to its last file.

    Raises:
        FolderBusy: another change goes on in it, for longer than WAIT_S.
    """

    @wraps(change)
    def alone(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with _held(path):
            return change(path, *args, **kwargs)

    return alone


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder itself is what is locked (flock(2))."""
    fd = _opened(folder)
    try:
        if fd is not None:
            _lock(folder, fd)
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _opened(folder: Path) -> int | None:
    """None of one that is not there, or is none: whoever changes it says so in better words."""
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def _lock(folder: Path, fd: int) -> None:
    tries = Retrying(
        retry=retry_if_exception_type(BlockingIOError),
        stop=stop_after_delay(WAIT_S),
        wait=wait_fixed(_AGAIN_S),
        reraise=True,
    )
    try:
        tries(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FolderBusy(
            f"{folder} is being changed by another `wharfside auth`: try again when it is done",
            path=str(folder),
        ) from error
    except OSError:  # file systems over the network that know no such lock
        return
