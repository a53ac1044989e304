"""An auth folder begun, and users added to it; each may be done again at will."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wharfside_client.auth.errors import BadState, UserExists
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.keys import Key, Kind
from wharfside_client.auth.servers import Servers
from wharfside_client.auth.state import FILE, Form, State, User, UserKey, load, save
from wharfside_protocol.records import Record
from wharfside_protocol.rights import Role
from wharfside_protocol.subjects import DEFAULT_PREFIX, Subjects, check_name

PROVISIONER = "provisioner"


class Change(Record, frozen=True, kw_only=True):
    """What was done to a folder: `written` are files that servers read.

    Of a user: `added` is false where it was there; `seed` is its key's file, which may have
    been taken away since.
    """

    folder: str
    written: list[str]
    name: str | None = None
    role: Role | None = None
    added: bool = False
    seed: str | None = None


def begin(path: Path, change: Callable[[Servers], Servers], prefix: str | None, now: int) -> Change:
    """Makes the folder with its provisioner, or brings one that is there up to date.

    `change` is told the servers as they are, or one on loopback. `prefix` None: the one that
    the folder has, or the usual one.

    Raises:
        Invalid: servers or prefix cannot be so.
        BadState: the folder is of another prefix, or its state cannot be used.
        LocalFiles: it cannot be written.
    """
    if (path / FILE).exists():
        state = load(path)
    else:
        fresh = Subjects(prefix or DEFAULT_PREFIX).prefix
        state = State(form=Form.STATIC, prefix=fresh, created=now, issued=now)
    if prefix not in (None, state.prefix):
        raise BadState(
            f"{path} is for the prefix {state.prefix}, and its users' keys with it: "
            f"make another folder for {prefix}"
        )
    state.servers = change(state.servers)
    state.servers.check()
    return add(path, PROVISIONER, Role.PROVISIONER, now, state)


def add(path: Path, name: str, role: Role, now: int, state: State | None = None) -> Change:
    """A user of `role`, with a key of its own; one that is there keeps it.

    The key is on disk before anything that names it: a user without one could never come in.

    Raises:
        Invalid: no user can be called so.
        UserExists: of another role.
        BadState, LocalFiles: as `begin`.
    """
    check_name(name, "user")
    folder, state = Folder(path), state or load(path)
    found = _found(state, name, role)
    if found is None:
        key = Key.make(Kind.USER).save(folder.seed(name))
        state.add(name, role, UserKey(public=key.public, issued=now))
    save(path, state)
    return Change(
        folder=str(path),
        written=[str(each) for each in folder.write_conf(state)],
        name=name,
        role=role,
        added=found is None,
        seed=str(folder.seed(name)),
    )


def _found(state: State, name: str, role: Role) -> User | None:
    user = next((each for each in state.users if each.name == name), None)
    if user is None or not user.valid:
        return None
    if user.role != role:
        raise UserExists(
            f"{name} is a {user.role} already, and a name is one user's: the frames of sessions "
            "are told apart by it. Choose another"
        )
    return user
