"""A runtime's program as a sealed copy: who can run it, and that nobody can change it."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from wharfside_agent.runtime import spawn
from wharfside_agent.runtime.sealed import sealed

ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Prints its own name, and leads to it once it runs."""
    return Path(shutil.copy2("/usr/bin/readlink", tmp_path / "runtime"))


async def test_it_runs_from_memory(program: Path, tmp_path: Path) -> None:
    link = sealed(program, tmp_path / "programs")
    assert link == tmp_path / "programs" / "runtime"
    ran = await spawn.run([str(link), "/proc/self/exe"])
    assert ran.stdout == "/memfd:runtime (deleted)"


def test_nobody_can_change_it(program: Path, tmp_path: Path) -> None:
    """These seals, and no others, are what crun and runc look for (is_self_cloned)."""
    link = sealed(program, tmp_path)
    with link.open("rb") as copy:
        assert fcntl.fcntl(copy, fcntl.F_GET_SEALS) == ALL_SEALS
        assert copy.read() == program.read_bytes()
    with link.open("r+b", buffering=0) as copy, pytest.raises(PermissionError):
        copy.write(b"#!")
    with pytest.raises(PermissionError):
        link.open("wb", buffering=0)


def test_one_copy_until_the_program_changes(program: Path, tmp_path: Path) -> None:
    first, other = sealed(program, tmp_path / "a"), sealed(program, tmp_path / "b")
    assert os.readlink(first) == os.readlink(other)  # noqa: PTH115 - the text, not what it leads to
    program.write_bytes(program.read_bytes() + b"\0")
    os.utime(program, ns=(0, 0))
    again = sealed(program, tmp_path / "a")
    assert again == first and again.read_bytes() == program.read_bytes() != other.read_bytes()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sealed(tmp_path / "nothing", tmp_path / "programs")
    assert not (tmp_path / "programs").exists()
