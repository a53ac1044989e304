"""What is kept of a container's logs, whatever it does: its last runs, its last execs."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.eventually import eventually
from ulid import ULID

from wharfside_agent.core.placement import Places, RunPlace
from wharfside_agent.ports.io import Piece
from wharfside_agent.ports.logs import LogName, LogWish
from wharfside_agent.runtime.log_keeping import Keeping, beyond
from wharfside_agent.runtime.log_rotation import LogLimits
from wharfside_agent.runtime.logs import DiskLogs
from wharfside_agent.watchers.growth import FileGrowth
from wharfside_protocol.states import INIT

INCARNATION = str(ULID())


def make(folder: Path, *names: str) -> None:
    """In this order, a second apart."""
    for second, name in enumerate(names):
        (folder / name).write_text("")
        os.utime(folder / name, (second, second))


def gone(folder: Path, run: int, keeping: Keeping, *living: tuple[int, str]) -> set[str]:
    return {Path(path).name for path in beyond(folder, keeping, run, living)}


def test_the_last_runs_are_kept_with_all_of_their_files(tmp_path: Path) -> None:
    make(tmp_path, "1-init.log", "1-init.log.0", "1-exec-a.log", "2-init.log", "3-init.log", "x")
    assert gone(tmp_path, 3, Keeping(2, 9)) == {"1-init.log", "1-init.log.0", "1-exec-a.log"}
    assert gone(tmp_path, 3, Keeping(3, 9)) == set()


def test_the_execs_that_wrote_last_are_kept(tmp_path: Path) -> None:
    make(tmp_path, "1-init.log", "1-b.log", "1-c.log", "1-a.log", "1-a.log.7")
    assert gone(tmp_path, 1, Keeping(1, 2)) == {"1-b.log"}
    assert gone(tmp_path, 1, Keeping(1, 0), (1, "a")) == {"1-b.log", "1-c.log"}


def test_nothing_is_removed_of_what_lives(tmp_path: Path) -> None:
    make(tmp_path, "1-init.log", "9-init.log")
    assert gone(tmp_path, 9, Keeping(1, 0), (1, "init")) == set()


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert gone(tmp_path / "none", 1, Keeping()) == set()


async def test_who_reads_an_old_run_has_the_rest_of_it(tmp_path: Path) -> None:
    places = Places(tmp_path / "run", tmp_path / "state")
    logs = DiskLogs(places, FileGrowth(), LogLimits(), Keeping(runs=1, execs=0))
    first, second = (LogName(INCARNATION, run, INIT) for run in (1, 2))
    log = RunPlace(places, INCARNATION, 1).log(INIT)
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-31T09:00:00.123456789+00:00 stdout F kept\n")
    reader = logs.source(first, LogWish())
    logs.watch(second, None, new=True)
    await eventually(lambda: not log.exists(), "the old run's log is removed")
    piece = await reader.read(1 << 20)
    assert isinstance(piece, Piece)
    assert piece.chunks[0].data == b"kept\n"
    assert list(logs.runs(INCARNATION, INIT)) == []
    reader.close()


def test_where_a_log_lies_is_told_under_the_name_that_stays(tmp_path: Path) -> None:
    places = Places(tmp_path / "run", tmp_path / "state")
    logs = DiskLogs(places, FileGrowth(), LogLimits())
    name, log = LogName(INCARNATION, 1, INIT), RunPlace(places, INCARNATION, 1).log(INIT)
    assert logs.where(name) is None
    log.parent.mkdir(parents=True)
    log.write_text("x")
    assert logs.where(name) == str(log)
    log.rename(f"{log}.0")
    assert logs.where(name) == str(log), "in the midst of a rotation"
    Path(f"{log}.0").unlink()
    assert logs.where(name) is None
