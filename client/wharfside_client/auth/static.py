"""The four accounts with their users, as nats-server's own configuration has them: pure text.

Users are known by their public nkeys: there is no secret in this file. nats-server reads it
again at SIGHUP; who is gone from it is cut off then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import msgspec

from wharfside_client.auth.state import Site, State, User
from wharfside_protocol.rights import (
    ACCOUNTS,
    Account,
    Rights,
    Role,
    Share,
    exports,
    imports,
    rights,
)
from wharfside_protocol.subjects import Subjects

CONNECTIONS = ("STANDARD", "WEBSOCKET")
"""Not MQTT, and no leaf nodes: those bring a whole server with them, and have keys of their own."""

LEAF = ("LEAFNODE",)


def accounts_text(state: State) -> str:
    """The `accounts` block for all users of `state` whose keys are valid."""
    subjects = Subjects(state.prefix)
    lines = [
        "# Written by `wharfside auth`, anew with every change: edit nothing here.",
        "accounts {",
    ]
    for account in Account:
        users = [user for user in state.users if ACCOUNTS[Role(user.role)] is account]
        sites = _open_sites(state) if account is Account.NODES else []
        lines += [f"  {account} {{", *_account(account, users, sites, subjects), "  }"]
    return "\n".join([*lines, "}", ""])


def site_users(state: State, site: Site) -> list[str]:
    """The nodes of `site` as its own server knows them: by the keys that the fleet's would take."""
    subjects = Subjects(state.prefix)
    return [line for name in site.nodes for line in user_lines(state.user(name), subjects)]


def _open_sites(state: State) -> list[Site]:
    """Without nodes that were revoked; a site with none left is none: an empty list of rights
    would be all rights to nats-server."""
    found = []
    for site in state.sites:
        nodes = [name for name in site.nodes if state.user(name).valid]
        if nodes:
            found.append(msgspec.structs.replace(site, nodes=nodes))
    return found


def _account(
    account: Account, users: Iterable[User], sites: Iterable[Site], subjects: Subjects
) -> Iterator[str]:
    if account is Account.HUB:
        yield "    jetstream: enabled"
    of_users = (line for user in users for line in user_lines(user, subjects))
    of_sites = (line for site in sites for line in _site(site, subjects))
    yield from _block("users", (*of_users, *of_sites))
    yield from _block("exports", map(_export, exports(account, subjects)))
    yield from _block("imports", map(_import, imports(account, subjects)))


def _block(name: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"    {name}: ["
        yield from (f"      {line}" for line in found)
        yield "    ]"


def user_lines(user: User, subjects: Subjects) -> Iterator[str]:
    """A user as nats-server's configuration has it, once for each of its keys."""
    may = rights(Role(user.role), user.name, subjects)
    for key in user.valid:
        yield f"# {user.role} {user.name}"
        yield from _entry(key.public, CONNECTIONS, may)


def site_rights(site: Site, subjects: Subjects) -> Rights:
    """What any of its nodes may, the site may: it can be each of them, and nobody else."""
    each = [rights(Role.NODE, name, subjects) for name in site.nodes]
    publish = dict.fromkeys(subject for may in each for subject in may.publish)
    subscribe = dict.fromkeys(subject for may in each for subject in may.subscribe)
    return Rights(tuple(publish), tuple(subscribe))


def _site(site: Site, subjects: Subjects) -> Iterator[str]:
    yield f"# site {site.name}"
    yield from _entry(site.key.public, LEAF, site_rights(site, subjects))


def _entry(public: str, connections: Iterable[str], may: Rights) -> Iterator[str]:
    yield f"{{ nkey: {public}, allowed_connection_types: {_list(connections)},"
    yield "  permissions: {"
    yield f"    publish: {{ allow: {_list(may.publish)} }}"
    yield f"    subscribe: {{ allow: {_list(may.subscribe)} }} }} }}"


def _export(share: Share) -> str:
    many = ", response_type: Stream" if share.many else ""
    within = f', response_threshold: "{share.within_s}s"' if share.within_s is not None else ""
    to = ", ".join(share.to)
    return f"{{ {share.kind}: {json.dumps(share.subject)}, accounts: [{to}]{many}{within} }}"


def _import(share: Share) -> str:
    subject = json.dumps(share.subject)
    return f"{{ {share.kind}: {{ account: {share.owner}, subject: {subject} }} }}"


def _list(subjects: Iterable[str]) -> str:
    return json.dumps(list(subjects))
