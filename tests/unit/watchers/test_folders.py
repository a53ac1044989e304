"""A file that is replaced rings, however that is done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from wharfside_agent.watchers.folders import InotifyFolders

WITHIN_S = 10.0


@pytest.fixture
async def bell() -> AsyncIterator[InotifyFolders]:
    bell = InotifyFolders()
    yield bell
    bell.close()


def by_rename(file: Path) -> None:
    new = file.with_suffix(".new")
    new.write_text("b")
    new.rename(file)


def in_place(file: Path) -> None:
    file.write_text("b")


def as_a_volume(file: Path) -> None:
    """Kubernetes: the file is a link through `..data`, and that is replaced."""
    (file.parent / "2").mkdir()
    (file.parent / "..new").symlink_to("2")
    (file.parent / "..new").rename(file.parent / "..data")


@pytest.mark.parametrize("replace", [by_rename, in_place, as_a_volume, Path.unlink])
async def test_it_rings(
    bell: InotifyFolders, tmp_path: Path, replace: Callable[[Path], None]
) -> None:
    file = tmp_path / "node.creds"
    file.write_text("a")
    bell.listen([file])
    replace(file)
    assert await bell.changed(WITHIN_S)


async def test_behind_a_link(bell: InotifyFolders, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "real.creds"
    real.write_text("a")
    link = tmp_path / "node.creds"
    link.symlink_to(real)
    bell.listen([link])
    by_rename(real)
    assert await bell.changed(WITHIN_S)


async def test_between_two_waits_nothing_is_missed(bell: InotifyFolders, tmp_path: Path) -> None:
    file = tmp_path / "node.creds"
    file.write_text("a")
    bell.listen([file])
    assert not await bell.changed(0.01)
    by_rename(file)
    bell.listen([file])
    assert await bell.changed(WITHIN_S)


async def test_other_files_of_the_folder_do_not_ring(bell: InotifyFolders, tmp_path: Path) -> None:
    file = tmp_path / "node.creds"
    file.write_text("a")
    bell.listen([file])
    (tmp_path / "other").write_text("b")
    assert not await bell.changed(0.3)


async def test_without_a_folder_there_is_the_time_alone(
    bell: InotifyFolders, tmp_path: Path
) -> None:
    bell.listen([tmp_path / "none" / "node.creds"])
    assert not await bell.changed(0.01)
