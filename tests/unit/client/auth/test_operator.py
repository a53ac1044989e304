"""What changes in the accounts when a key is taken back: as little as can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from wharfside_client.auth import rotation
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.jwts import Claims, read
from wharfside_client.auth.members import add, begin
from wharfside_client.auth.state import SYS, SYSTEM, Form, load
from wharfside_protocol.rights import Account, Role

THEN, NOW = 1_700_000_000, 1_800_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "fleet"
    begin(path, lambda servers: servers, None, THEN, Form.JWT)
    for name, role in (("web1", Role.NODE), ("eyes", Role.VIEWER)):
        add(path, name, role, THEN)
    return path


def accounts(path: Path) -> dict[str, str]:
    """The JWT of each account by its name."""
    operator = Folder(path).operator(load(path))
    assert operator is not None
    return {read(token).name: token for token in operator.account_jwts().values()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_a_new_user_changes_no_account(path: Path) -> None:
    before = accounts(path)
    add(path, "web2", Role.NODE, NOW)
    rotation.rotate(path, "web1", NOW, NOW + 60)
    assert accounts(path) == before


@pytest.mark.parametrize(
    ("name", "account"), [("web1", Account.NODES), ("eyes", Account.VIEW), (SYSTEM, SYS)]
)
def test_a_revoked_key_changes_its_own_account_alone(path: Path, name: str, account: str) -> None:
    """A server makes the crossings of a changed account anew, and what is on its way is lost."""
    before = accounts(path)
    rotation.rotate(path, name, NOW)
    (public,) = rotation.revoke(path, name, NOW, old=True).keys
    after = accounts(path)
    assert changed(before, after) == {account}
    was, now = read(before[account]), read(after[account])
    assert now.nats["revocations"] == {public: NOW}
    assert without_revocations(now) == without_revocations(was)
    assert now.iat > was.iat


def without_revocations(claims: Claims) -> dict[str, object]:
    return {key: value for key, value in claims.nats.items() if key != "revocations"}


def test_two_changes_within_a_second_are_two_dates(path: Path) -> None:
    """A server that starts keeps the newer one of what it has and what its file says."""
    dates = []
    for _ in range(3):
        rotation.rotate(path, "eyes", THEN)
        rotation.revoke(path, "eyes", THEN, old=True)
        dates.append(read(accounts(path)[Account.VIEW]).iat)
    assert dates == [THEN + 1, THEN + 2, THEN + 3]


def test_without_the_operator_s_identity_all_goes_on(path: Path) -> None:
    """So it can be taken off line."""
    (path / "keys" / "operator.nk").unlink()
    rotation.rotate_role(path, Role.NODE, NOW)
    rotation.revoke_role(path, Role.NODE, NOW)
    assert (path / "users" / "web1.creds").exists()
