"""Changes of one auth folder at the same time: none undoes another."""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from wharfside_client.auth import turns
from wharfside_client.auth.errors import FolderBusy
from wharfside_client.auth.members import add, begin
from wharfside_client.auth.rotation import revoke
from wharfside_client.auth.state import load
from wharfside_protocol.rights import Role

NOW = 1_800_000_000
NODES = [f"node-{number}" for number in range(8)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "fleet"
    begin(path, lambda servers: servers, None, NOW)
    add(path, "gone", Role.VIEWER, NOW)
    return path


def test_a_key_that_is_revoked_while_others_are_made_stays_revoked(path: Path) -> None:
    together = Barrier(len(NODES) + 1)

    def one(name: str | None) -> None:
        together.wait()
        if name is None:
            revoke(path, "gone", NOW)
        else:
            add(path, name, Role.NODE, NOW)

    with ThreadPoolExecutor(len(NODES) + 1) as pool:
        list(pool.map(one, [*NODES, None]))
    state = load(path)
    assert not state.user("gone").valid
    assert {user.name for user in state.users} == {"provisioner", "gone", *NODES}


def test_a_folder_that_is_held_for_long_is_told_and_left_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "WAIT_S", 0.1)
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(FolderBusy, match="try again"):
            add(path, "late", Role.NODE, NOW)
    finally:
        os.close(fd)
    assert "late" not in {user.name for user in load(path).users}
