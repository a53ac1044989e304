"""Who may do what on the bus: what each role publishes and hears, and what accounts share.

Pure data for any prefix, from which every server configuration is generated: static users
(nats-server's `accounts` block) and JWTs alike. One account cannot keep roles apart, since the
server answers to whatever `reply` a client names (docs/security.md): so each has one of its own,
with exactly the crossings that are listed here. Nothing here is given that no part of Wharfside
needs; `tests/security` runs every role with these rights alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from wharfside_protocol.assets import (
    ADV,
    CKPT,
    CMD,
    CONTAINERS_BUCKET,
    EVT,
    LOGS,
    NODES_BUCKET,
    RES,
    streams,
)
from wharfside_protocol.ops import OPS
from wharfside_protocol.subjects import Subjects, check_name

ANSWER_S = 3600
"""An answer of a node may take so long to cross accounts (nats-server's own limit: 2 minutes)."""

PULL_S, LONG_PULL_S = 30, 300
"""So long after the last message of a pull the next may come: an agent's end after 2.5 s; an
orchestrator may be in no hurry. The server keeps 0.8 KB of each for just so long, answered or
not: 10 minutes of all pulls of a thousand nodes would be 370 MB."""

LOOK_S = 30
"""The same of what is answered at once: direct gets, and `$SRV`, which everybody answers."""

SERVICE_NAME = "wharfside-agent"
"""The micro service that every agent is (ADR-32)."""

_API, _GET, _ACK, _NEXT = (
    "$JS.API",
    "$JS.API.DIRECT.GET",
    "$JS.ACK",
    "$JS.API.CONSUMER.MSG.NEXT",
)
_NODES_KV, _CONTAINERS_KV = f"KV_{NODES_BUCKET}", f"KV_{CONTAINERS_BUCKET}"


class Role(StrEnum):
    """What a user of the bus is for."""

    PROVISIONER = "provisioner"
    NODE = "node"
    ORCHESTRATOR = "orchestrator"
    VIEWER = "viewer"


class Account(StrEnum):
    """A NATS account: subjects of one are unknown in another, but for the crossings.

    HUB alone has JetStream.
    """

    HUB = "HUB"
    NODES = "NODES"
    OPS = "OPS"
    VIEW = "VIEW"


ACCOUNTS = {
    Role.PROVISIONER: Account.HUB,
    Role.NODE: Account.NODES,
    Role.ORCHESTRATOR: Account.OPS,
    Role.VIEWER: Account.VIEW,
}
"""Where the users of a role live."""


class Crossing(StrEnum):
    """How a subject leads out of its account (NATS's two kinds of exports).

    `SERVICE`: others publish there, and may be answered. `STREAM`: others hear it.
    """

    SERVICE = "service"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Share:
    """`owner` exports `subject`; the accounts in `to` import it under the same name.

    Attributes:
        many: a request may have many answers (`response_type: Stream`); else the first ends it.
        within_s: so long answers may take (`response_threshold`); None is the server's own limit.
    """

    owner: Account
    kind: Crossing
    subject: str
    to: tuple[Account, ...]
    many: bool = False
    within_s: int | None = None


@dataclass(frozen=True, slots=True)
class Rights:
    """Subjects that a user may publish to, and may subscribe to; nothing else."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox_of(role: Role, name: str) -> str:
    """The prefix of a user's own reply subjects."""
    return f"_INBOX{'_' if role is Role.NODE else '.'}{check_name(name, 'user')}"


def rights(role: Role, name: str, subjects: Subjects | None = None) -> Rights:
    """What the user `name` of `role` may do in its account.

    Raises:
        Invalid: `name` is no name.
    """
    p = (subjects or Subjects()).prefix
    own = f"{inbox_of(role, name)}.>"
    match role:
        case Role.PROVISIONER:
            return Rights(tuple(_provisioner(p)), (own,))
        case Role.NODE:
            return Rights(tuple(_node_tells(p, name)), (own, *_node_hears(p, name)))
        case Role.ORCHESTRATOR:
            return Rights(tuple(_orchestrator_asks(p, name)), (own, *_orchestrator_hears(p, name)))
        case Role.VIEWER:
            return Rights(tuple(_viewer_asks(p, name)), (own, *_watcher_hears(p, name)))


def shares(subjects: Subjects | None = None) -> tuple[Share, ...]:
    """Every crossing between the four accounts."""
    p = (subjects or Subjects()).prefix
    return (*_from_hub_to_nodes(p), *_from_hub_to_people(p), *_between_nodes_and_people(p))


def exports(account: Account, subjects: Subjects | None = None) -> list[Share]:
    return [share for share in shares(subjects) if share.owner is account]


def imports(account: Account, subjects: Subjects | None = None) -> list[Share]:
    return [share for share in shares(subjects) if account in share.to]


def _provisioner(p: str) -> Iterator[str]:
    """Makes the streams and their consumers, forgets nodes, and looks after dead letters."""
    for config in streams(Subjects(p)):
        yield from (f"{_API}.STREAM.{verb}.{config['name']}" for verb in _STREAM_VERBS)
    for stream in (CMD, CKPT, EVT):
        yield from (f"{_API}.CONSUMER.{verb}.{stream}.*" for verb in _CONSUMER_VERBS)
    yield from (f"{_API}.STREAM.MSG.GET.{stream}" for stream in (ADV, CMD))
    yield f"{_GET}.{_NODES_KV}"
    yield f"$KV.{NODES_BUCKET}.*"
    yield f"{p}.cmd.*.*"


_STREAM_VERBS = ("CREATE", "UPDATE", "INFO")
_CONSUMER_VERBS = ("CREATE", "INFO", "DELETE")


def _node_tells(p: str, name: str) -> Iterator[str]:
    """`_R_`: single-use replies, which the server makes for what comes from another account."""
    yield f"{p}.evt.{name}.*.*"
    yield from (f"{p}.res.{name}.*.{what}" for what in ("accepted", "result"))
    yield f"{p}.progress.{name}.*"
    yield f"{p}.io.{name}.*.*.down"
    yield f"{p}.ckpt.{name}.*.*.*"
    yield f"{p}.log.{name}.*.*"
    yield f"$KV.{NODES_BUCKET}.{name}"
    yield f"$KV.{CONTAINERS_BUCKET}.{name}.*"
    yield from (f"{_NEXT}.{stream}.{name}" for stream in (CMD, CKPT))
    yield f"{_ACK}.{CMD}.{name}.>"
    yield "_R_.>"


def _node_hears(p: str, name: str) -> Iterator[str]:
    """Not `$SRV.>`: a node answers for itself alone."""
    yield f"{p}.rpc.{name}.*"
    yield f"{p}.io.{name}.*.*.up"
    yield f"{p}.kv.nodes.{name}"
    for verb in ("PING", "INFO", "STATS"):
        yield from (f"$SRV.{verb}{rest}" for rest in ("", f".{SERVICE_NAME}", f".{SERVICE_NAME}.*"))


def _orchestrator_asks(p: str, name: str) -> Iterator[str]:
    yield f"{p}.rpc.*.*"
    yield f"{p}.cmd.*.*"
    yield f"{p}.io.*.{name}.*.up"
    yield f"{_NEXT}.{EVT}.{name}"
    yield f"{_ACK}.{EVT}.{name}.>"
    yield f"{_GET}.{RES}.>"
    yield from _watcher_asks()


def _orchestrator_hears(p: str, name: str) -> Iterator[str]:
    yield f"{p}.live.res.>"
    yield f"{p}.progress.>"
    yield from _watcher_hears(p, name)


def _viewer_asks(p: str, name: str) -> Iterator[str]:
    """Reads, of which `logs` opens a session: its frames up are acks."""
    yield from (f"{p}.rpc.*.{op.name}" for op in OPS.values() if op.viewers)
    yield f"{p}.io.*.{name}.*.up"
    yield from _watcher_asks()


def _watcher_asks() -> Iterator[str]:
    """`$SRV` finds agents (`nats micro ls`); direct gets read what the streams keep."""
    yield "$SRV.>"
    yield from _direct_gets(_NODES_KV, _CONTAINERS_KV, EVT, LOGS)


def _watcher_hears(p: str, name: str) -> Iterator[str]:
    yield f"{p}.live.evt.>"
    yield f"{p}.kv.>"
    yield f"{p}.io.*.{name}.*.down"


def _direct_gets(*names: str) -> Iterator[str]:
    for stream in names:
        yield f"{_GET}.{stream}"
        yield f"{_GET}.{stream}.>"


def _from_hub_to_nodes(p: str) -> Iterator[Share]:
    """What nodes store, and what waits for them. No direct get, not even of a key of their own:
    with a foreign `reply` it arrives as a command at another node."""
    published = (
        f"{p}.evt.>", f"{p}.res.>", f"{p}.ckpt.>", f"{p}.log.>",
        f"$KV.{NODES_BUCKET}.*", f"$KV.{CONTAINERS_BUCKET}.*.*", f"{_ACK}.{CMD}.>",
    )  # fmt: skip
    pulled = (f"{_NEXT}.{CMD}.*", f"{_NEXT}.{CKPT}.*")
    yield from _services(Account.HUB, published, Account.NODES)
    yield from _services(Account.HUB, pulled, Account.NODES, many=True, within_s=PULL_S)
    yield Share(Account.HUB, Crossing.STREAM, f"{p}.kv.nodes.*", (Account.NODES,))


def _from_hub_to_people(p: str) -> Iterator[Share]:
    """Republished by the streams, since what came by an import goes to no third account."""
    ops, view = Account.OPS, Account.VIEW
    yield from _services(Account.HUB, (f"{p}.cmd.>", f"{_ACK}.{EVT}.>"), ops)
    pulled = (f"{_NEXT}.{EVT}.*",)
    yield from _services(Account.HUB, pulled, ops, many=True, within_s=LONG_PULL_S)
    yield from _services(Account.HUB, (f"{_GET}.{RES}.>",), ops, within_s=LOOK_S)
    yield from _services(Account.HUB, _watched(), ops, view, many=True, within_s=LOOK_S)
    yield Share(Account.HUB, Crossing.STREAM, f"{p}.live.evt.>", (ops, view))
    yield Share(Account.HUB, Crossing.STREAM, f"{p}.live.res.>", (ops,))
    yield Share(Account.HUB, Crossing.STREAM, f"{p}.kv.>", (ops, view))


def _watched() -> tuple[str, ...]:
    return tuple(_direct_gets(_NODES_KV, _CONTAINERS_KV, EVT, LOGS))


def _between_nodes_and_people(p: str) -> Iterator[Share]:
    ops, view = Account.OPS, Account.VIEW
    yield from _services(Account.NODES, (f"{p}.rpc.>",), ops, view, within_s=ANSWER_S)
    yield from _services(Account.NODES, ("$SRV.>",), ops, view, many=True, within_s=LOOK_S)
    yield Share(Account.NODES, Crossing.STREAM, f"{p}.io.*.*.*.down", (ops, view))
    yield Share(Account.NODES, Crossing.STREAM, f"{p}.progress.>", (ops,))
    for people in (ops, view):
        yield Share(people, Crossing.STREAM, f"{p}.io.*.*.*.up", (Account.NODES,))


def _services(
    owner: Account,
    subjects: Iterable[str],
    *to: Account,
    many: bool = False,
    within_s: int | None = None,
) -> Iterator[Share]:
    for subject in subjects:
        yield Share(owner, Crossing.SERVICE, subject, to, many, within_s)
