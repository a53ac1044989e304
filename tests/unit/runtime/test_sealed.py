"""A runtime's program as a sealed copy: who can run it, and that nobody can change it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.machine import descriptors

from wharfside_agent.runtime import spawn
from wharfside_agent.runtime.sealed import SealedPrograms

ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Prints its own name, and leads to it once it runs."""
    return Path(shutil.copy2("/usr/bin/readlink", tmp_path / "runtime"))


@pytest.fixture
def sealing(tmp_path: Path) -> Iterator[SealedPrograms]:
    with closing(SealedPrograms(tmp_path / "programs")) as sealing:
        yield sealing


async def test_it_runs_from_memory(program: Path, sealing: SealedPrograms, tmp_path: Path) -> None:
    link = sealing.seal(program)
    assert link == tmp_path / "programs" / "runtime"
    ran = await spawn.run([str(link), "/proc/self/exe"])
    assert ran.stdout == "/memfd:runtime (deleted)"


def test_nobody_can_change_it(program: Path, sealing: SealedPrograms) -> None:
    """These seals, and no others, are what crun and runc look for (is_self_cloned)."""
    link = sealing.seal(program)
    with link.open("rb") as copy:
        assert fcntl.fcntl(copy, fcntl.F_GET_SEALS) == ALL_SEALS
        assert copy.read() == program.read_bytes()
    with link.open("r+b", buffering=0) as copy, pytest.raises(PermissionError):
        copy.write(b"#!")
    with pytest.raises(PermissionError):
        link.open("wb", buffering=0)


def test_a_later_life_takes_the_links_over(program: Path, sealing: SealedPrograms) -> None:
    """As after an upgrade of the program: the one before it is in nobody's way."""
    link = sealing.seal(program)
    program.write_bytes(program.read_bytes() + b"\0")
    with closing(SealedPrograms(link.parent)) as later:
        assert later.seal(program) == link
        assert link.read_bytes() == program.read_bytes()


def test_nothing_stays_open(program: Path, tmp_path: Path) -> None:
    before = descriptors()
    with closing(SealedPrograms(tmp_path / "programs")) as sealing:
        sealing.seal(program)
        link = sealing.seal(Path(shutil.copy2(program, tmp_path / "other")))
        assert len(descriptors()) == len(before) + 2
    assert descriptors() == before
    assert not link.exists()


def test_a_program_that_is_not_there(sealing: SealedPrograms, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sealing.seal(tmp_path / "nothing")
    assert not (tmp_path / "programs").exists()
