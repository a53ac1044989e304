"""Keys replaced and taken back, in both forms.

A new key stands beside the old one, so that its owner changes over without a break; the old one
is taken back by a second step, once the new one is in use.
"""

from __future__ import annotations

from pathlib import Path

from wharfside_client.auth.errors import NoSuchUser, NothingToRevoke, WrongForm
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.issuing import issue
from wharfside_client.auth.operator import Operator
from wharfside_client.auth.state import SYSTEM, State, UserKey, load, save
from wharfside_client.auth.turns import in_turn
from wharfside_protocol.records import Record


class Rotated(Record, frozen=True, kw_only=True):
    """`written` are files that servers read; `credentials` are the new ones, by user."""

    folder: str
    written: list[str]
    credentials: dict[str, str]


class Revoked(Record, frozen=True, kw_only=True):
    """`written` are files that servers read; once they do, none takes `keys` (public ones)."""

    folder: str
    written: list[str]
    keys: list[str]


@in_turn
def rotate(path: Path, name: str, now: int, expires: int | None = None) -> Rotated:
    """A new key for a user; those before stay valid until they are revoked.

    One whose keys are all revoked is let in again by it.

    Raises:
        NoSuchUser: there is none.
        NoExpiry, BadState, LocalFiles, BadKey: see `members.add`.
    """
    return _rotated(path, load(path), [name], now, expires)


@in_turn
def rotate_role(path: Path, role: str, now: int, expires: int | None = None) -> Rotated:
    """A new signing key for a role, and by it new keys for all its users.

    Raises:
        WrongForm: there are no signing keys in this folder.
        NoSuchUser: there is no such role.
        BadState, LocalFiles, BadKey: see `members.add`.
    """
    state = load(path)
    _operator(path, state, role).add_signer(role)
    state.touch(role, now)
    return _rotated(path, state, _members(state, role), now, expires)


@in_turn
def revoke(path: Path, name: str, now: int, *, old: bool = False) -> Revoked:
    """Takes a user's keys back; `old`: all but the one that `rotate` made last.

    Raises:
        NothingToRevoke: there is no such key, or without it nobody could tell servers of it.
        NoSuchUser, BadState, LocalFiles, BadKey: as `rotate`.
    """
    state = load(path)
    valid = [key for key in state.keys(name) if key.revoked is None]
    if name == SYSTEM and not old:
        raise NothingToRevoke(
            f"{SYSTEM} tells servers who is revoked: `wharfside auth rotate {SYSTEM}`, "
            "and then revoke its old key with --old"
        )
    gone = valid[:-1] if old else valid
    if not gone:
        what = "no key before the one in use" if old and valid else "no valid key"
        raise NothingToRevoke(f"{name} has {what}; see `wharfside auth show`")
    if not old:
        Folder(path).credentials(state, name).unlink(missing_ok=True)
    return _revoked(path, state, state.role(name), gone, [], now)


@in_turn
def revoke_role(path: Path, role: str, now: int) -> Revoked:
    """Takes a role's signing keys back but the newest, with all that they signed.

    Raises:
        NothingToRevoke: there is one alone.
        WrongForm, BadState, LocalFiles, BadKey: as `rotate_role`.
    """
    state = load(path)
    signers = _operator(path, state, role).drop_old_signers(role)
    if not signers:
        raise NothingToRevoke(
            f"the role {role} has one signing key: `wharfside auth rotate --role {role}` "
            "makes the next one"
        )
    keys = [key for name in _members(state, role) for key in state.keys(name)[:-1]]
    gone = [key for key in keys if key.revoked is None]
    return _revoked(path, state, role, gone, signers, now)


def _rotated(path: Path, state: State, names: list[str], now: int, expires: int | None) -> Rotated:
    folder = Folder(path)
    for name in names:
        key = issue(folder, state, name, state.role(name), now, expires)
        state.keys(name).append(key)
    save(path, state)
    return Rotated(
        folder=str(path),
        written=[str(each) for each in folder.write_conf(state)],
        credentials={name: str(folder.credentials(state, name)) for name in names},
    )


def _revoked(
    path: Path, state: State, role: str, gone: list[UserKey], signers: list[str], now: int
) -> Revoked:
    for key in gone:
        key.revoked = now
    state.touch(role, now)
    save(path, state)
    written = [str(each) for each in Folder(path).write_conf(state)]
    return Revoked(folder=str(path), written=written, keys=[k.public for k in gone] + signers)


def _members(state: State, role: str) -> list[str]:
    """Who of a role has a key that is valid."""
    if role == SYSTEM:
        return [SYSTEM]
    return [user.name for user in state.users if user.role == role and user.valid]


def _operator(path: Path, state: State, role: str) -> Operator:
    """Who has signing keys for `role`."""
    operator = Folder(path).operator(state)
    if operator is None or state.trust is None:
        raise WrongForm(
            f"{path} has no signing keys: its servers know each user's own. Rotate users by name"
        )
    if role not in state.trust.signers:
        raise NoSuchUser(f"there is no role {role}; there are: {', '.join(state.trust.signers)}")
    return operator
