"""Which logs of a container are kept: those of its last runs, and of its last execs."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wharfside_protocol.states import INIT

_LOG = re.compile(r"(\d+)-([a-z0-9_-]+)\.log(?:\.\d+|\.tmp)?")

LogKey = tuple[int, str]
"""Run and process."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """`runs` with what ran in them, and `execs` that are over; else a crash loop fills the disk."""

    runs: int = 16
    execs: int = 100


def logs_in(folder: Path) -> dict[LogKey, list[os.DirEntry[str]]]:
    """The files of each log in a container's folder."""
    found: dict[LogKey, list[os.DirEntry[str]]] = defaultdict(list)
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if (match := _LOG.fullmatch(entry.name)) is not None:
                found[int(match[1]), match[2]].append(entry)
    return found


def beyond(folder: Path, keeping: Keeping, present: int, living: Collection[LogKey]) -> list[str]:
    """The paths of what is to be removed in the run `present`; nothing of `living`."""
    logs = logs_in(folder)
    old_runs = (key for key in logs if key[0] <= present - keeping.runs)
    gone = [*old_runs, *_old_execs(logs, keeping.execs)]
    return [entry.path for key in gone if key not in living for entry in logs[key]]


def _old_execs(logs: dict[LogKey, list[os.DirEntry[str]]], keep: int) -> list[LogKey]:
    execs = [key for key in logs if key[1] != INIT]
    return sorted(execs, key=lambda key: _written(logs[key]))[: max(len(execs) - keep, 0)]


def _written(entries: list[os.DirEntry[str]]) -> int:
    """When, last; one that has gone meanwhile is the oldest."""
    try:
        return max(entry.stat().st_mtime_ns for entry in entries)
    except FileNotFoundError:
        return 0


def remove(paths: Collection[str]) -> None:
    """What cannot be removed now is tried again when the next process starts."""
    for path in paths:
        with suppress(OSError):
            Path(path).unlink()
