"""Nodes played by the test: what they tell and put, and a watch of it."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.integration.client_kit import TIME, event, presence

from wharfside_client import Place, Watch
from wharfside_client.bus import Bus
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import container_key, node_key
from wharfside_protocol.codec import encode
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.states import ContainerState
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.views import ContainerProjection

WEB = Place("n1", "web")
ONE, TWO = "0" * 25 + "1", "0" * 25 + "2"


def watching(bus: Bus, **others: Any) -> Watch:
    return Watch(bus, Subjects(), **{"resync_s": 0.2, **others})


def told(
    number: int, type_: str, place: Place = WEB, incarnation: str = ONE, revision: int = 1
) -> Event:
    return msgspec.structs.replace(
        event(number, node=place.node, container=place.container),
        type=EventType(type_),
        prev_seq=number - 1 or None,
        incarnation=incarnation,
        run=1,
        revision=revision,
        data={"pid": 7} if type_ in ("created", "started") else {},
    )


async def tell(bus: Bus, *events: Event) -> None:
    for each in events:
        subject = Subjects().event(each.node, each.container, each.type)
        await JetStream(bus).publish(subject, encode(each))


async def put(bus: Bus, seq: int, state: str, place: Place = WEB, incarnation: str = ONE) -> None:
    view = ContainerProjection(
        node=place.node,
        container=place.container,
        incarnation=incarnation,
        run=1,
        revision=1,
        epoch=1,
        seq=seq,
        state=ContainerState(state),
        at=TIME,
    )
    await JetStream(bus).publish(container_key(*place), encode(view))


async def is_there(bus: Bus, node: str = "n1") -> None:
    await JetStream(bus).publish(node_key(node), encode(presence(node)))


async def deafen(bus: Bus, stream: str, source: str, bell: str | None) -> None:
    """Takes the doorbell of a stream away, or puts it back."""
    config = (await JetStream(bus).api(f"STREAM.INFO.{stream}"))["config"]
    republish = {"src": source, "dest": bell} if bell else None
    await JetStream(bus).api(f"STREAM.UPDATE.{stream}", {**config, "republish": republish})
