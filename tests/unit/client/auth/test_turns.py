"""Changes of one auth folder at the same time: none undoes another."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from wharfside_client.auth import turns
from wharfside_client.auth.authority import drop_old_authority, rotate_authority
from wharfside_client.auth.certificates import bundled
from wharfside_client.auth.errors import BadAuthority, FolderBusy, NothingToRevoke
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.keys import Key, Kind
from wharfside_client.auth.members import Change, add, begin
from wharfside_client.auth.rotation import revoke
from wharfside_client.auth.servers import Server, Servers
from wharfside_client.auth.state import Form, load
from wharfside_client.auth.tls import TlsFolder
from wharfside_protocol.errors import Invalid, WharfsideError
from wharfside_protocol.rights import Role

NOW = 1_800_000_000
NODES = [f"node-{number}" for number in range(8)]


@pytest.fixture(autouse=True)
def many_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine at once take their turns: on a busy machine longer than one may wait for another."""
    monkeypatch.setattr(turns, "WAIT_S", 60.0)


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


def at_once(act: Callable[[], object], times: int) -> list[object]:
    """What each came to: its value, or its error."""
    together = Barrier(times)

    def one(_number: int) -> object:
        together.wait()
        try:
            return act()
        except WharfsideError as error:
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


@pytest.mark.parametrize("form", Form)
def test_of_two_that_begin_one_folder_one_makes_it_and_the_other_finds_it(
    tmp_path: Path, form: Form
) -> None:
    path = tmp_path / "fleet"
    changes = at_once(lambda: begin(path, lambda servers: servers, None, NOW, form), 8)
    assert all(isinstance(change, Change) for change in changes)
    assert [change.added for change in changes if isinstance(change, Change)].count(True) == 1
    state = load(path)
    keys = [key.public for key in state.user("provisioner").keys]
    seeds = re.findall(r"^SU\w+", Folder(path).credentials(state, "provisioner").read_text(), re.M)
    assert keys == [Key(seed, Kind.USER).public for seed in seeds]


def test_servers_that_cannot_be_leave_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "fleet"
    twice = Servers(servers=(Server(name="a", host="h1"), Server(name="a", host="h2")))
    with pytest.raises(Invalid):
        begin(path, lambda _servers: twice, None, NOW)
    assert not path.exists()


def test_of_two_that_rotate_the_authority_one_does_it(path: Path) -> None:
    tls = TlsFolder(path / "tls")
    tls.make_authority()
    *done, refused = sorted(at_once(lambda: rotate_authority(path), 2), key=str)
    assert (done, type(refused)) == ([tls.ca], BadAuthority)
    assert len(bundled(tls.ca.read_bytes())) == 2
    assert tls.issue("nats", ["localhost"]).certificate.exists(), "the key is the newest one's"
    assert drop_old_authority(path) == tls.ca
    with pytest.raises(NothingToRevoke, match="one authority"):
        drop_old_authority(path)


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
