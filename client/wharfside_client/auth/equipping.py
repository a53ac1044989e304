"""The servers of a folder given certificates by an authority of its own, and their users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from wharfside_client.auth.folder import Folder
from wharfside_client.auth.servers import SERVER, TlsPaths
from wharfside_client.auth.state import SYSTEM, State, load, save
from wharfside_client.auth.tls import CERTIFICATE_DAYS, TlsFolder
from wharfside_client.auth.turns import in_turn
from wharfside_protocol.records import Record

EVERY = ""
"""In the place of a server's name: its hosts are those of all."""


class Equipped(Record, frozen=True, kw_only=True):
    """`certificates` by the names of servers or users; `written` are files that servers read."""

    folder: str
    ca: str
    certificates: dict[str, str]
    written: list[str]


@in_turn
def equip_servers(
    path: Path,
    hosts: Mapping[str, Sequence[str]],
    at: str | None,
    verify: bool | None,
    days: float = CERTIFICATE_DAYS,
) -> Equipped:
    """A certificate for each server, new ones where they are there; an authority where missing.

    Args:
        hosts: under what other names servers are reached, by the servers' names or EVERY.
        at: where the servers have the files; None: where they had them, or in this folder.
        verify: whether clients show certificates, too; None: as it was. True makes one for
            each user.

    Raises:
        BadAuthority: there is one, and it cannot be used.
        BadState, LocalFiles: see `members.begin`.
    """
    state, tls = load(path), TlsFolder(path / "tls")
    tls.make_authority()
    certificates = {}
    for server in (*state.servers.servers, *(site.listen for site in state.sites)):
        names = [server.host, *hosts.get(server.name, ()), *hosts.get(EVERY, ())]
        issued = tls.issue(server.name, list(dict.fromkeys(names)), days)
        certificates[server.name] = str(issued.certificate)
    files = _paths(path, state, at)
    if verify is not None:
        files = msgspec.structs.replace(files, verify=verify)
    state.servers = msgspec.structs.replace(state.servers, tls=files)
    save(path, state)
    if verify:
        certificates |= _issued(tls, _users(state), days)
    written = [str(each) for each in Folder(path).write_conf(state)]
    return Equipped(folder=str(path), ca=str(tls.ca), certificates=certificates, written=written)


@in_turn
def equip_users(path: Path, names: Sequence[str], days: float = CERTIFICATE_DAYS) -> Equipped:
    """A certificate for each user, to show to servers that ask for one.

    Raises:
        NoSuchUser: there is none of such a name.
        BadAuthority: there is no authority in this folder.
    """
    state, tls = load(path), TlsFolder(path / "tls")
    for name in names:
        state.keys(name)
    certificates = _issued(tls, names, days)
    return Equipped(folder=str(path), ca=str(tls.ca), certificates=certificates, written=[])


def _issued(tls: TlsFolder, names: Sequence[str], days: float) -> dict[str, str]:
    return {name: str(tls.issue(name, (), days).certificate) for name in names}


def _users(state: State) -> list[str]:
    named = [user.name for user in state.users if user.valid]
    return named if state.trust is None else [SYSTEM, *named]


def _paths(path: Path, state: State, at: str | None) -> TlsPaths:
    if at is not None:
        at = at.rstrip("/")
        return TlsPaths(cert=f"{at}/{SERVER}.pem", key=f"{at}/{SERVER}.key", ca=f"{at}/ca.pem")
    own = f"{path.absolute()}/tls"
    return state.servers.tls or TlsPaths(
        cert=f"{own}/servers/{SERVER}.pem", key=f"{own}/servers/{SERVER}.key", ca=f"{own}/ca.pem"
    )
