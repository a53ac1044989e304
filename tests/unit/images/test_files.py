"""What is synced is waited for, whenever it was handed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from wharfside_agent.images.files import folders, syncing


def test_files_and_folders_are_synced(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "pages-1.img").write_bytes(b"page")
    assert set(folders(tmp_path)) == {tmp_path, tmp_path / "checkpoint"}
    with syncing([tmp_path / "checkpoint" / "pages-1.img"]) as sync:
        (tmp_path / "manifest.json").write_bytes(b"{}")
        sync([tmp_path / "manifest.json", *folders(tmp_path)])


def test_a_sync_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"), syncing([tmp_path / "gone"]):
        pass


def test_so_is_one_of_what_came_later(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"), syncing([]) as sync:
        sync([tmp_path / "gone"])
