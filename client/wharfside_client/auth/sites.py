"""Edge sites: nodes that speak to a NATS server of their own, a leaf of the fleet's servers.

The site's server tells its nodes apart by their keys, with the rights that they would have at the
fleet's. There it comes in itself, by a key of its own that is good for leaf connections alone, with
the rights of all its nodes together: a site that falls is its nodes, and nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from wharfside_client.auth.errors import BadState, NoSuchSite, WrongForm
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.keys import Key, Kind
from wharfside_client.auth.servers import Server
from wharfside_client.auth.state import Form, Site, State, UserKey, load, save
from wharfside_client.auth.turns import in_turn
from wharfside_protocol.records import Record
from wharfside_protocol.rights import Role
from wharfside_protocol.subjects import check_name


class SiteChange(Record, frozen=True, kw_only=True):
    """What was done: `conf` is the site's own file; `written` are all that servers read."""

    folder: str
    name: str
    nodes: list[str]
    conf: str
    written: list[str]


@in_turn
def add_site(path: Path, listen: Server, nodes: Sequence[str], now: int) -> SiteChange:
    """A site with the server `listen`, named as that one.

    One that is there has these nodes from now on, and keeps its key.

    Raises:
        Invalid: no server can be called so.
        NoSuchUser: there is no such node.
        BadState: no nodes, or one that is a user of another role; the site's name is another's.
        WrongForm: this folder is of JWTs.
        LocalFiles: it cannot be written.
    """
    folder, state = Folder(path), load(path)
    check_name(listen.name, "site")
    if state.form is Form.JWT:
        raise WrongForm("sites are for folders without --jwt: their rights stand in accounts.conf")
    if listen.name in {server.name for server in state.servers.servers}:
        raise BadState(f"{listen.name} is a server of the fleet: give the site another name")
    if listen.name in {user.name for user in state.users}:
        raise BadState(f"{listen.name} is a user of the fleet: give the site another name")
    if not nodes:
        raise BadState("a site without nodes would be nobody: name one")
    for name in nodes:
        if state.user(name).role is not Role.NODE:
            raise BadState(f"{name} is a {state.user(name).role}, and a site has nodes alone")
    _put(folder, state, listen, list(nodes), now)
    save(path, state)
    return SiteChange(
        folder=str(path),
        name=listen.name,
        nodes=list(nodes),
        written=[str(each) for each in folder.write_conf(state)],
        conf=str(folder.conf(f"{listen.name}.site")),
    )


@in_turn
def remove_site(path: Path, name: str) -> SiteChange:
    """The fleet's servers let that site in no more; its nodes stay, and may come in themselves.

    Raises:
        NoSuchSite: there is none of that name.
        BadState, LocalFiles: as `add_site`.
    """
    folder, state = Folder(path), load(path)
    gone = next((site for site in state.sites if site.name == name), None)
    if gone is None:
        known = ", ".join(site.name for site in state.sites) or "none"
        raise NoSuchSite(f"there is no site {name}; there are: {known}")
    state.sites.remove(gone)
    save(path, state)
    written = [str(each) for each in folder.write_conf(state)]
    conf = folder.conf(f"{name}.site")
    for file in (conf, folder.site_seed(name)):
        file.unlink(missing_ok=True)
    return SiteChange(
        folder=str(path), name=name, nodes=gone.nodes, conf=str(conf), written=written
    )


def _put(folder: Folder, state: State, listen: Server, nodes: list[str], now: int) -> None:
    for at, site in enumerate(state.sites):
        if site.name == listen.name:
            state.sites[at] = msgspec.structs.replace(site, nodes=nodes, listen=listen)
            return
    key = Key.make(Kind.USER).save(folder.site_seed(listen.name))
    told = UserKey(public=key.public, issued=now)
    state.sites.append(Site(name=listen.name, nodes=nodes, key=told, listen=listen))
