"""What an auth folder knows of its users: one file, from which all else is made again."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from wharfside_client.auth.errors import BadState, NoSuchUser, UserExists
from wharfside_client.auth.placing import place
from wharfside_client.auth.servers import Server, Servers
from wharfside_protocol.rights import ACCOUNTS, Role
from wharfside_protocol.subjects import DEFAULT_PREFIX, check_name

FILE = "auth.json"
SYS = "SYS"
"""The system account."""

SYSTEM = "system"
"""The role, and the name of its one user, that tells servers of changed accounts (JWT alone)."""

VERSION = 1


class Form(StrEnum):
    """How servers know their users.

    `STATIC`: public keys in the configuration. `JWT`: an operator's signature.
    """

    STATIC = "static"
    JWT = "jwt"


class UserKey(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One of a user's keys; times are seconds since 1970.

    Attributes:
        expires: not valid from then on (JWT alone).
        revoked: since when no server takes it.
    """

    public: str
    issued: int
    expires: int | None = None
    revoked: int | None = None


class User(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Somebody on the bus. `keys`: the one in use last, before it those that it replaced."""

    name: str
    role: Role
    keys: list[UserKey]

    @property
    def valid(self) -> list[UserKey]:
        return [key for key in self.keys if key.revoked is None]


class Site(msgspec.Struct, kw_only=True):
    """An edge site, whose server is a leaf of the fleet's: `nodes` speak to it alone."""

    name: str
    nodes: list[str]
    key: UserKey
    listen: Server


class Trust(msgspec.Struct, kw_only=True):
    """Public keys of the form JWT; their seeds are files of the folder (`operator.py`).

    Attributes:
        operator: its JWT, which its identity signed: that seed is not needed any more.
        accounts: by their names, SYS too.
        signers: the signing keys of each role, and of `system`, the one in use last.
        system: keys of the one user of SYS, who tells servers of changed accounts.
        issued: the date of an account's claims, where they have changed since it was made.
    """

    operator: str
    accounts: dict[str, str]
    signers: dict[str, list[str]]
    system: list[UserKey] = []
    issued: dict[str, int] = {}


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """
    Attributes:
        created: when the folder was made; what never changes is dated so.
    """

    version: int = VERSION
    form: Form
    prefix: str = DEFAULT_PREFIX
    created: int
    servers: Servers = Servers()
    users: list[User] = []
    sites: list[Site] = []
    trust: Trust | None = None

    def user(self, name: str) -> User:
        """
        Raises:
            NoSuchUser: there is none of that name.
        """
        for user in self.users:
            if user.name == name:
                return user
        known = ", ".join(user.name for user in self.users) or "none"
        raise NoSuchUser(f"there is no user {name}; there are: {known}")

    def keys(self, name: str) -> list[UserKey]:
        """Of a user, or of `system`, where there is that one.

        Raises:
            NoSuchUser: there is none of that name.
        """
        if name == SYSTEM and self.trust is not None:
            return self.trust.system
        return self.user(name).keys

    def role(self, name: str) -> str:
        """
        Raises:
            NoSuchUser: there is none of that name.
        """
        return SYSTEM if name == SYSTEM and self.trust is not None else self.user(name).role

    def add(self, name: str, role: Role, key: UserKey) -> User:
        """
        Raises:
            UserExists: and one name is one user, of whatever role.
            Invalid: no user can be called so.
        """
        check_name(name, "user")
        found = next((user for user in self.users if user.name == name), None)
        if found is not None and found.valid:
            raise UserExists(
                f"there is a {found.role} {name} already: "
                f"`wharfside auth rotate {name}` gives it a new key"
            )
        if found is not None:
            found.role = role
            found.keys.append(key)
            return found
        user = User(name=name, role=role, keys=[key])
        self.users.append(user)
        return user

    def touch(self, role: str, now: int) -> None:
        """The claims of the role's account are newer from now on, also within a second; those of
        others stay the very same, and what crosses them is left alone."""
        if self.trust is not None:
            account = account_of(role)
            last = self.trust.issued.get(account, self.created)
            self.trust.issued[account] = max(now, last + 1)


def account_of(role: str) -> str:
    """Where the users of a role live; SYS for `system`."""
    return SYS if role == SYSTEM else ACCOUNTS[Role(role)]


def load(folder: Path) -> State:
    """
    Raises:
        BadState: `folder` holds none, or one of a later version.
    """
    path = folder / FILE
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError as error:
        raise BadState(f"{path} is not there: `wharfside auth init` makes a folder") from error
    except (OSError, msgspec.DecodeError) as error:
        raise BadState(f"{path} cannot be used: {error}") from error
    if state.version > VERSION:
        raise BadState(f"{path} was written by a later version of wharfside: use that one")
    return state


def save(folder: Path, state: State) -> None:
    """
    Raises:
        LocalFiles: it cannot be written.
    """
    place(folder / FILE, msgspec.json.format(msgspec.json.encode(state)))
