"""The four accounts with their users, as nats-server's own configuration has them: pure text.

Users are known by their public nkeys: there is no secret in this file. nats-server reads it
again at SIGHUP; who is gone from it is cut off then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from wharfside_client.auth.state import State, User
from wharfside_protocol.rights import (
    ACCOUNTS,
    Account,
    Role,
    Share,
    exports,
    imports,
    rights,
)
from wharfside_protocol.subjects import Subjects

CONNECTIONS = ("STANDARD", "WEBSOCKET")
"""Not MQTT, and no leaf nodes: those bring a whole server with them."""


def accounts_text(state: State) -> str:
    """The `accounts` block for all users of `state` whose keys are valid."""
    subjects = Subjects(state.prefix)
    lines = [
        "# Written by `wharfside auth`, anew with every change: edit nothing here.",
        "accounts {",
    ]
    for account in Account:
        users = [user for user in state.users if ACCOUNTS[Role(user.role)] is account]
        lines += [f"  {account} {{", *_account(account, users, subjects), "  }"]
    return "\n".join([*lines, "}", ""])


def _account(account: Account, users: Iterable[User], subjects: Subjects) -> Iterator[str]:
    if account is Account.HUB:
        yield "    jetstream: enabled"
    yield from _block("users", (line for user in users for line in user_lines(user, subjects)))
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
        yield f"{{ nkey: {key.public}, allowed_connection_types: {_list(CONNECTIONS)},"
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
