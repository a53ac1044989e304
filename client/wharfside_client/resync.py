"""A node's projections made anew: the node puts its own, and what it does not know goes.

An agent may read nothing of the bucket, so what a lost store left there is found here, by who
may read it, and removed by the node, which alone may write there.
"""

from __future__ import annotations

from wharfside_client.bus import Bus
from wharfside_client.direct import Stored, read_pages
from wharfside_client.node import Node
from wharfside_protocol.assets import CONTAINERS_BUCKET
from wharfside_protocol.codec import decode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.event_facts import Snapshot
from wharfside_protocol.node_commands import ResyncArgs, ResyncValue
from wharfside_protocol.records import Counter, Record
from wharfside_protocol.states import ContainerState
from wharfside_protocol.views import ContainerProjection

PAGE = 500
_STREAM = f"KV_{CONTAINERS_BUCKET}"


class Resynced(Record, frozen=True, kw_only=True):
    """`names` projections were put again; `removed` keys the node did not know."""

    node: str
    names: Counter
    snapshot: Snapshot
    removed: list[str] = []


async def resync(bus: Bus, node: Node) -> Resynced:
    """Raises what a call of the node raises, and NotSetUp where there is no bucket."""
    keys = await _keys(bus, node.name)
    known = {view.container for view in await node.list(all=True)}
    unknown = sorted(keys - known)
    value, removed = await _ask(node, unknown[:PAGE]), set[str]()
    while unknown:
        removed.update(value.forgotten)
        unknown = unknown[PAGE:]
        if unknown:
            value = await _ask(node, unknown[:PAGE])
    return Resynced(
        node=node.name,
        names=value.names,
        snapshot=value.snapshot,
        removed=sorted(removed),
    )


async def _ask(node: Node, forget: list[str]) -> ResyncValue:
    value = await node.call("resync", ResyncArgs(forget=forget))
    assert isinstance(value, ResyncValue)
    return value


async def _keys(bus: Bus, node: str) -> set[str]:
    """The containers that the bucket tells of as there, read before the node is asked."""
    subject = f"$KV.{CONTAINERS_BUCKET}.{node}.>"
    pages = [page async for page in read_pages(bus, _STREAM, subject)]
    return {
        message.subject.rpartition(".")[2]
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
