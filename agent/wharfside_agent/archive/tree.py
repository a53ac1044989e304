"""A walk through a tree that others change meanwhile: through no link, out of no folder."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from wharfside_agent.archive.faults import refused
from wharfside_agent.archive.notes import Notes
from wharfside_agent.archive.openat import FOLDER, closing, file_system, open_beneath
from wharfside_protocol.errors import Unsupported
from wharfside_protocol.tar_members import MAX_NAME_BYTES

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Paths of folders found and not entered yet: some 150,000 of a usual length."""

_ENTRY = 64
"""What a path takes beside its letters."""

_SWAPPED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV}


@dataclass(frozen=True, slots=True)
class Found:
    """`path` is below the top, and "" of the top itself; `pin` (O_PATH) is open meanwhile."""

    path: str
    pin: int
    stat: os.stat_result


def walk(top: int, notes: Notes) -> Iterator[Found]:
    """The top, and where it is a folder all below it; a folder comes before what is in it.

    One folder is open at a time, however deep the tree: each is opened anew from the top,
    in one call of the kernel's that refuses every link (openat.py).

    Raises:
        Unsupported: there are more folders than are kept in mind.
        Denied, Busy: a folder cannot be read.
    """
    facts = os.fstat(top)
    yield Found("", top, facts)
    waiting = [""] if stat.S_ISDIR(facts.st_mode) else []
    room = MAX_WAITING_BYTES
    while waiting:
        folder = waiting.pop()
        room += len(folder) + _ENTRY
        for found in _inside(top, folder, notes):
            yield found
            if stat.S_ISDIR(found.stat.st_mode):
                waiting.append(found.path)
                room -= len(found.path) + _ENTRY
                if room < 0:
                    raise Unsupported(
                        f"too many folders beside one another in {folder}: copy a part of them"
                    )


def _inside(top: int, below: str, notes: Notes) -> Iterator[Found]:
    try:
        folder = open_beneath(top, below or ".", FOLDER)
    except OSError as error:
        if not below or error.errno not in _SWAPPED:
            raise refused(error, below) from error
        notes.add(below, "changed while it was read: left out")
        return
    with closing(folder):
        if (kind := file_system(folder).pseudo) is not None:
            notes.add(below, f"the kernel's own ({kind}): what is in it is left out")
            return
        yield from _entries(folder, below, notes)


def _entries(folder: int, below: str, notes: Notes) -> Iterator[Found]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if len(os.fsencode(path)) > MAX_NAME_BYTES - 1:
                notes.add(path[-64:], "too deep for a path: left out")
                continue
            with suppress(FileNotFoundError):
                pin = os.open(entry.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                with closing(pin):
                    yield Found(path, pin, os.fstat(pin))
