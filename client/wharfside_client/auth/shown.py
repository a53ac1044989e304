"""Who may do what, as people and programs are told: pure."""

from __future__ import annotations

from wharfside_client.auth.state import Site, State, User
from wharfside_client.auth.static import site_rights
from wharfside_protocol.records import Record
from wharfside_protocol.rights import ACCOUNTS, Account, Role, rights
from wharfside_protocol.subjects import Subjects

IN_WORDS = {
    Role.PROVISIONER: "make streams, mailboxes and consumers; send dead letters again",
    Role.NODE: "do what it is told; tell of itself and its containers",
    Role.ORCHESTRATOR: "command every node; read states, events and results",
    Role.VIEWER: "read states, events and logs",
}


class ShownUser(Record, frozen=True, kw_only=True):
    """`keys`: the public ones that servers take, the newest last; none: it is revoked.

    Attributes:
        expires: the end of the newest, in seconds since 1970.
    """

    name: str
    role: str
    account: str
    may: str
    keys: list[str]
    expires: int | None
    publish: list[str]
    subscribe: list[str]


def shown(state: State) -> list[ShownUser]:
    """The users of the four accounts, and the edge sites."""
    subjects = Subjects(state.prefix)
    users = [_shown(user, subjects) for user in state.users]
    return users + [_shown_site(site, subjects) for site in state.sites]


def _shown(user: User, subjects: Subjects) -> ShownUser:
    may = rights(user.role, user.name, subjects)
    return ShownUser(
        name=user.name,
        role=user.role,
        account=ACCOUNTS[user.role],
        may=IN_WORDS[user.role],
        keys=[key.public for key in user.valid],
        expires=user.valid[-1].expires if user.valid else None,
        publish=[*may.publish],
        subscribe=[*may.subscribe],
    )


def _shown_site(site: Site, subjects: Subjects) -> ShownUser:
    may = site_rights(site, subjects)
    return ShownUser(
        name=site.name,
        role="site",
        account=Account.NODES,
        may=f"be each of its nodes: {', '.join(site.nodes)}",
        keys=[site.key.public],
        expires=None,
        publish=[*may.publish],
        subscribe=[*may.subscribe],
    )
