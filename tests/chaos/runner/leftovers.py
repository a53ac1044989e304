"""What a node still has when all of its containers are deleted: folders and descriptors.

Processes, mounts and cgroups are the leak gate's (tests/support/leaks.py).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_NUMBER = re.compile(r"\d+")


def descriptors(pid: int) -> Counter[str]:
    """How many of each kind the process has open; sockets and pipes without their numbers."""
    kinds: Counter[str] = Counter()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kinds[_NUMBER.sub("#", str(fd.readlink()))] += 1
        except FileNotFoundError:
            continue
    return kinds


def folders_of(incarnations: Iterable[str], folder: Path) -> list[str]:
    """Files and folders below `folder` that name a container which is deleted."""
    names = {incarnation.lower() for incarnation in incarnations}
    return [
        f"folder {top}/{name}"
        for top, below, files in os.walk(folder)  # passes by what vanishes meanwhile
        for name in (*below, *files)
        if any(part in names for part in re.split(r"[^0-9a-z]", name.lower()))
    ]
