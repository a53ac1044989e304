"""A runtime's program as a copy in memory that nobody can change.

crun and runc begin each of their processes by making their own program unchangeable, as a container
could write to it by /proc/self/exe (CVE-2019-5736): a bind mount, an unmount, and exec once more.
One that is run from a memfd with all seals has nothing to do (is_self_cloned in cloned_binary.c of
either): 4 of 20 ms of CPU a container less, and the program on the disk is never opened by one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

_EXECUTABLE = 0x10
"""MFD_EXEC (memfd_create(2), since Linux 6.3), which Python 3.11 does not name."""

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
"""Exactly these are looked for."""


class SealedPrograms:
    """Copies, and links to them in `folder`; until `close`, or as long as this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copies: list[int] = []

    def seal(self, program: Path) -> Path:
        """A link to a sealed copy of `program`, of the same name.

        It leads to a descriptor of this process, and nowhere once that is closed: whoever runs it
        then is told that it is not there. An upgrade of the program is not seen.

        Raises:
            OSError: the kernel makes none that can be run (sysctl vm.memfd_noexec is 2), or there
                is no such program.
        """
        copy = _sealed(program)
        self._copies.append(copy)
        self._folder.mkdir(parents=True, exist_ok=True)
        link, new = self._folder / program.name, self._folder / f"{program.name}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(f"/proc/{os.getpid()}/fd/{copy}")
        return new.replace(link)

    def close(self) -> None:
        """Idempotent."""
        while self._copies:
            os.close(self._copies.pop())


def _sealed(program: Path) -> int:
    """Open for reading alone: else exec says ETXTBSY."""
    with program.open("rb") as source, os.fdopen(_memory(program.name), "wb") as copy:
        shutil.copyfileobj(source, copy)
        copy.flush()
        fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEALS)
        return os.open(f"/proc/self/fd/{copy.fileno()}", os.O_RDONLY | os.O_CLOEXEC)


def _memory(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _EXECUTABLE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.memfd_create(name, flags)
