"""A node's projections made anew: the node puts its own, and what it does not know goes.

An agent may read nothing of the bucket, so what a lost store left there is found here,
by who may read it, and removed by who may write it.
"""

from __future__ import annotations

from wharfside_client.bus import Bus
from wharfside_client.direct import Stored, read_pages
from wharfside_client.errors import ApiError, NotSetUp
from wharfside_client.jetstream import JetStream
from wharfside_client.node import Node
from wharfside_protocol.assets import CONTAINERS_BUCKET
from wharfside_protocol.codec import decode
from wharfside_protocol.command_base import NoArgs
from wharfside_protocol.commands import ResyncValue
from wharfside_protocol.errors import Denied, Invalid, WharfsideError
from wharfside_protocol.events import Snapshot
from wharfside_protocol.records import Counter, Record
from wharfside_protocol.states import ContainerState
from wharfside_protocol.views import ContainerProjection

_STREAM = f"KV_{CONTAINERS_BUCKET}"
_DELETE = {"KV-Operation": "DEL", "Nats-TTL": "1h"}


class Resynced(Record, frozen=True, kw_only=True):
    """`names` projections were put again; `removed` keys the node did not know.

    `stale` are those that this user may not remove: ask the provisioner to resync.
    """

    node: str
    names: Counter
    snapshot: Snapshot
    removed: list[str] = []
    stale: list[str] = []


async def resync(bus: Bus, node: Node) -> Resynced:
    """Raises what a call of the node raises, and NotSetUp where there is no bucket."""
    keys = await _keys(bus, node.name)
    value = await node.call("resync", NoArgs())
    assert isinstance(value, ResyncValue)
    known = {view.container for view in await node.list(all=True)}
    removed: list[str] = []
    stale: list[str] = []
    for name, message in keys.items():
        if name not in known:
            (removed if await _removed(bus, message) else stale).append(name)
    return Resynced(
        node=node.name, names=value.names, snapshot=value.snapshot, removed=removed, stale=stale
    )


async def _keys(bus: Bus, node: str) -> dict[str, Stored]:
    """The containers that the bucket tells of as there, read before the node is asked."""
    subject = f"$KV.{CONTAINERS_BUCKET}.{node}.>"
    pages = [page async for page in read_pages(bus, _STREAM, subject)]
    return {
        message.subject.rpartition(".")[2]: message
        for page in pages
        for message in page
        if _tells_of_life(message)
    }


def _tells_of_life(message: Stored) -> bool:
    if "KV-Operation" in message.headers:
        return False
    try:
        return decode(message.data, ContainerProjection).state is not ContainerState.DELETED
    except Invalid:
        return True


async def _removed(bus: Bus, message: Stored) -> bool:
    """Only what was read: a put of the node since then stays."""
    expected = {"Nats-Expected-Last-Subject-Sequence": str(message.seq)}
    try:
        await JetStream(bus).publish(message.subject, b"", _DELETE | expected)
    except ApiError as error:
        return error.err_code == _WRONG_SEQUENCE
    except (Denied, NotSetUp, WharfsideError):
        return False
    return True


_WRONG_SEQUENCE = 10071
