"""An auth folder begun, and users added to it; each may be done again at will."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wharfside_client.auth.errors import BadState, UserExists
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.issuing import issue
from wharfside_client.auth.operator import Operator
from wharfside_client.auth.placing import make_folder
from wharfside_client.auth.servers import Servers
from wharfside_client.auth.state import FILE, SYSTEM, Form, State, User, load, save
from wharfside_client.auth.turns import in_turn
from wharfside_protocol.records import Record
from wharfside_protocol.rights import Role
from wharfside_protocol.subjects import DEFAULT_PREFIX, Subjects, check_name

PROVISIONER = "provisioner"


class Change(Record, frozen=True, kw_only=True):
    """What was done to a folder: `written` are files that servers read.

    Of a user: `added` is false where it was there; `credentials` is the file by which it comes
    in, which may have been taken away since.
    """

    folder: str
    written: list[str]
    name: str | None = None
    role: Role | None = None
    added: bool = False
    credentials: str | None = None


def begin(
    path: Path,
    change: Callable[[Servers], Servers],
    prefix: str | None,
    now: int,
    form: Form | None = None,
) -> Change:
    """Makes the folder with its provisioner, or brings one that is there up to date.

    `change` is told the servers as they are, or one on loopback. `prefix` and `form` None: what
    the folder has, or the usual ones.

    Raises:
        Invalid: servers or prefix cannot be so.
        BadState: the folder is of another prefix or form, or its state cannot be used.
        FolderBusy: another change of it goes on.
        LocalFiles: it cannot be written.
    """
    if not (path / FILE).exists():
        # what cannot be leaves no folder; one that is there can be locked
        change(_fresh(prefix, form, now).servers).check()
        make_folder(path)
    return _begin(path, change, prefix, now, form)


@in_turn
def _begin(
    path: Path,
    change: Callable[[Servers], Servers],
    prefix: str | None,
    now: int,
    form: Form | None,
) -> Change:
    state = load(path) if (path / FILE).exists() else _fresh(prefix, form, now)
    _is_for(path, state, prefix, form)
    state.servers = change(state.servers)
    state.servers.check()
    if state.form is Form.JWT and state.trust is None:
        _begin_trust(path, state, now)
    return _added(path, state, PROVISIONER, Role.PROVISIONER, now, None)


def _fresh(prefix: str | None, form: Form | None, now: int) -> State:
    """
    Raises:
        Invalid: there can be no such prefix.
    """
    fresh = Subjects(prefix or DEFAULT_PREFIX).prefix
    return State(form=form or Form.STATIC, prefix=fresh, created=now)


def _is_for(path: Path, state: State, prefix: str | None, form: Form | None) -> None:
    """
    Raises:
        BadState: the folder's users are of another prefix or form.
    """
    if prefix not in (None, state.prefix):
        raise BadState(
            f"{path} is for the prefix {state.prefix}, and its users' keys with it: "
            f"make another folder for {prefix}"
        )
    if form not in (None, state.form):
        raise BadState(
            f"{path} is of the form {state.form}, and every user's key with it: "
            f"make another folder for {form}"
        )


def _begin_trust(path: Path, state: State, now: int) -> None:
    """An operator, its accounts, and who tells servers of them."""
    state.trust = Operator.make(path, state)
    state.trust.system.append(issue(Folder(path), state, SYSTEM, SYSTEM, now, None))


@in_turn
def add(path: Path, name: str, role: Role, now: int, *, expires: int | None = None) -> Change:
    """A user of `role`, with a key of its own; one that is there keeps it.

    `expires` in seconds since 1970, in a folder of JWTs alone; None is never.

    Raises:
        Invalid: no user can be called so.
        UserExists: of another role.
        NoExpiry: this folder knows of none.
        BadState, FolderBusy, LocalFiles: as `begin`.
    """
    check_name(name, "user")
    return _added(path, load(path), name, role, now, expires)


def _added(
    path: Path, state: State, name: str, role: Role, now: int, expires: int | None
) -> Change:
    folder, found = Folder(path), _found(state, name, role)
    if found is None:
        state.add(name, role, issue(folder, state, name, role, now, expires))
    save(path, state)
    return Change(
        folder=str(path),
        written=[str(each) for each in folder.write_conf(state)],
        name=name,
        role=role,
        added=found is None,
        credentials=str(folder.credentials(state, name)),
    )


def _found(state: State, name: str, role: Role) -> User | None:
    if name == SYSTEM:
        raise UserExists(f"{SYSTEM} is who tells servers of accounts: choose another name")
    user = next((each for each in state.users if each.name == name), None)
    if user is None or not user.valid:
        return None
    if user.role != role:
        raise UserExists(
            f"{name} is a {user.role} already, and a name is one user's: the frames of sessions "
            "are told apart by it. Choose another"
        )
    return user
