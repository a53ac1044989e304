"""Who may do what, as people and programs are told: pure."""

from __future__ import annotations

from wharfside_client.auth.state import State
from wharfside_protocol.records import Record
from wharfside_protocol.rights import ACCOUNTS, Role, rights
from wharfside_protocol.subjects import Subjects

IN_WORDS = {
    Role.PROVISIONER: "make streams, mailboxes and consumers; send dead letters again",
    Role.NODE: "do what it is told; tell of itself and its containers",
    Role.ORCHESTRATOR: "command every node; read states, events and results",
    Role.VIEWER: "read states, events and logs",
}


class ShownUser(Record, frozen=True, kw_only=True):
    """`keys`: the public ones that servers take."""

    name: str
    role: str
    account: str
    may: str
    keys: list[str]
    publish: list[str]
    subscribe: list[str]


def shown(state: State) -> list[ShownUser]:
    """The users of the four accounts."""
    return [
        _shown(state, user.name, Role(user.role), [key.public for key in user.valid])
        for user in state.users
        if user.role in set(Role)
    ]


def _shown(state: State, name: str, role: Role, keys: list[str]) -> ShownUser:
    may = rights(role, name, Subjects(state.prefix))
    return ShownUser(
        name=name,
        role=role,
        account=ACCOUNTS[role],
        may=IN_WORDS[role],
        keys=keys,
        publish=[*may.publish],
        subscribe=[*may.subscribe],
    )
