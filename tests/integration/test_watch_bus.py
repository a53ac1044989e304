"""The watch against a bus that loses, forgets and hurries: nodes played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.integration.client_kit import event, opened_bus, presence, publish_many
from tests.integration.watching import Seen, place_of, word_of
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import (
    ContainerChanged,
    ContainerGone,
    NodeGone,
    NotSetUp,
    Place,
    Resynced,
    Watch,
    Wharfside,
)
from wharfside_client.bus import Bus
from wharfside_client.jetstream import JetStream
from wharfside_client.settings import ServerSettings
from wharfside_protocol.assets import CONTAINERS_BUCKET, EVT, NODES_BUCKET, container_key, node_key
from wharfside_protocol.codec import encode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.states import ContainerState
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.views import ContainerProjection

pytestmark = requires("nats-server")

WEB = Place("n1", "web")
ONE, TWO = "0" * 25 + "1", "0" * 25 + "2"
TIME = "2026-01-31T09:00:00Z"


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with opened_bus(nats_server.url) as bus:
        await Wharfside(bus).setup.bootstrap()
        yield bus


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


async def test_nothing_is_set_up(nats_server: NatsServer) -> None:
    async with opened_bus(nats_server.url) as bus:
        with pytest.raises(NotSetUp, match="bootstrap"):
            async with watching(bus):
                pass
        assert not bus.listeners


def test_a_node_that_is_none() -> None:
    with pytest.raises(Invalid, match="no name"):
        Watch(Bus(ServerSettings()), Subjects(), nodes=["a.b"])


async def test_an_event_that_its_bucket_never_heard_of(bus: Bus) -> None:
    """The agent died between a PubAck and its put, and is still dead: the event tells."""
    await tell(bus, told(1, "created"), told(2, "started"))
    await put(bus, 1, "created")
    other = Place("n1", "never-put")
    await tell(bus, told(1, "created", other), told(2, "paused", other))
    async with watching(bus) as watch:
        state = await Seen(watch).first()
        states = {place: str(view.state) for place, view in state.containers.items()}
        assert states == {WEB: "running", other: "paused"}


async def test_one_whose_beginning_was_never_told_here(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bucket has it, and its events are older than the first look: the next one finds it."""
    monkeypatch.setattr("wharfside_client.present.YOUNG_S", -1.0)
    await tell(bus, told(1, "created"), told(2, "started"))
    async with watching(bus) as watch:
        seen = Seen(watch)
        assert not (await seen.first()).containers
        await tell(bus, told(3, "paused"))
        paused = await seen.is_(WEB, "paused")
        assert seen.of(WEB) == ["running", "paused"]
        assert (paused.seq, paused.new.pid, paused.new.started_at) == (3, 7, TIME)


async def test_a_late_projection_raises_no_ghost(bus: Bus) -> None:
    """cri-o#7004, nomad#5945: state goes backwards."""
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        await tell(bus, told(1, "created"), told(2, "started"), told(3, "exited"))
        await tell(bus, told(4, "deleted"))
        await put(bus, 3, "stopped")
        await put(bus, 1, "created")
        await tell(bus, told(5, "created", incarnation=TWO))
        await seen.is_(WEB, "created")
        new = await seen.is_(WEB, "created")
        assert seen.of(WEB) == ["created", "running", "stopped", "gone", "created"]
        assert new.new.incarnation == TWO
        seen.check_each_once()


async def test_a_projection_alone_is_believed_in_the_end(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full outbox dropped the events between: the bucket still tells how it ended."""
    monkeypatch.setattr("wharfside_client.picture.AHEAD_S", 0.2)
    await tell(bus, told(1, "created"), told(2, "started"))
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        await put(bus, 5, "paused")
        paused = await seen.is_(WEB, "paused")
        assert (paused.seq, paused.event) == (None, None)
        await tell(bus, told(6, "resumed"))
        assert (await seen.is_(WEB, "running")).seq == 3


async def test_events_that_never_rang(bus: Bus) -> None:
    live = "wharfside.v1.live.evt.>"
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        await deafen(bus, EVT, "wharfside.v1.evt.>", None)
        await tell(bus, told(1, "created"), told(2, "started"))
        await seen.is_(WEB, "running")
        await tell(bus, told(3, "paused"))
        await deafen(bus, EVT, "wharfside.v1.evt.>", live)
        await tell(bus, told(4, "resumed"))
        await seen.is_(WEB, "running")
        assert seen.of(WEB) == ["created", "running", "paused", "running"]
        seen.check_each_once()


async def test_a_tap_that_was_closed_for_a_while(bus: Bus) -> None:
    """Its subscription is gone, as at a server that lost the interest: the timer notices."""
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        taps = [tap for tap in bus.taps if ".live.evt." in tap.subject]
        for tap in taps:
            await tap.close()
        await tell(bus, told(1, "created"), told(2, "started"))
        await seen.is_(WEB, "running")
        assert seen.of(WEB) == ["created", "running"]


async def test_a_reader_that_is_slow(bus: Bus) -> None:
    """Two live messages are held; 1,500 come. Each is told, in the order of the stream."""
    places = [Place("n1", f"c{number}") for number in range(500)]
    async with watching(bus, live_limit=2) as watch:
        seen = Seen(watch)
        await seen.first()
        for seq, type_ in enumerate(("created", "started", "deleted"), start=1):
            messages = [
                (Subjects().event(*place, type_), encode(told(seq, type_, place)))
                for place in places
            ]
            await publish_many(bus, messages)
        gone: set[Place | None] = set()
        while gone != set(places):
            item = await seen.next()
            if isinstance(item, ContainerGone):
                gone.add(place_of(item))
        assert all(seen.of(place) == ["created", "running", "gone"] for place in places)
        seen.check_each_once()
        assert watch.seq == 1500
        assert not watch.state.containers


async def test_a_reader_that_gives_up_waiting_again_and_again_loses_nothing(bus: Bus) -> None:
    """Whoever cancels a wait: also in the middle of a history that is being read."""
    places = [Place("n1", f"c{number}") for number in range(60)]
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        await tell(bus, *(told(1, "created", place) for place in places))
        # a hole before it: each is read from its history
        await tell(bus, *(told(3, "started", place) for place in places))
        while watch.seq < 120 or len(seen.items) < 121:
            try:
                seen.items.append(await asyncio.wait_for(anext(watch), 0.0005))
            except TimeoutError:
                continue
        assert all(seen.of(place) == ["created", "running"] for place in places)
        seen.check_each_once()


async def test_one_that_is_known_by_its_label_has_a_successor(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfside_client.picture.AHEAD_S", 0.2)
    ours = msgspec.structs.replace(told(1, "created"), labels={"team": "a"})
    await tell(bus, ours)
    async with watching(bus, labels={"team": "a"}) as watch:
        seen = Seen(watch)
        assert set((await seen.first()).containers) == {WEB}
        await put(bus, 5, "running", incarnation=TWO)
        assert isinstance(await seen.gone(WEB), ContainerGone)


async def test_a_stream_that_was_made_anew(bus: Bus) -> None:
    await is_there(bus)
    await tell(bus, told(1, "created"), told(2, "started"))
    await put(bus, 2, "running")
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        await JetStream(bus).api(f"STREAM.DELETE.{EVT}")
        await Wharfside(bus).setup.bootstrap()
        await tell(bus, told(3, "exited"))
        told_so = await seen.until(lambda each: isinstance(each, Resynced), "resynced")
        assert isinstance(told_so, Resynced)
        assert (told_so.seq, watch.seq) == (1, 1)
        stopped = await seen.is_(WEB, "stopped")
        assert stopped.old is not None
        await tell(bus, told(4, "deleted"))
        await seen.gone(WEB)


async def test_a_stream_that_was_made_anew_and_has_grown_past_the_reader(
    nats_server: NatsServer, bus: Bus
) -> None:
    """Its sequences alone look as if nothing had happened."""
    await tell(bus, told(1, "created"))
    async with watching(bus, resync_s=30) as watch:
        seen = Seen(watch)
        await seen.first()
        await asyncio.to_thread(nats_server.restart)
        async with opened_bus(nats_server.url) as other:
            for tap in [tap for tap in bus.taps if ".live.evt." in tap.subject]:
                await tap.close()
            await JetStream(other).api(f"STREAM.DELETE.{EVT}")
            await Wharfside(other).setup.bootstrap()
            await tell(other, *(told(seq, "updated", revision=seq) for seq in (2, 3)))
        await asyncio.to_thread(nats_server.restart)
        item = await seen.until(lambda each: isinstance(each, Resynced), "resynced")
        assert isinstance(item, Resynced)
        assert "made anew" in item.because


async def test_events_that_have_expired_while_the_reader_was_away(
    nats_server: NatsServer, bus: Bus
) -> None:
    await tell(bus, told(1, "created"))
    async with watching(bus, resync_s=30) as watch:
        seen = Seen(watch)
        await seen.first()
        for tap in [tap for tap in bus.taps if ".live." in tap.subject]:
            await tap.close()
        others = (told(seq, "created", Place("n1", f"c{seq}")) for seq in range(1, 6))
        await tell(bus, told(2, "started"), *others)
        config = (await JetStream(bus).api(f"STREAM.INFO.{EVT}"))["config"]
        await JetStream(bus).api(f"STREAM.UPDATE.{EVT}", {**config, "max_msgs": 2})
        await put(bus, 2, "running")
        await asyncio.to_thread(nats_server.restart)
        item = await seen.until(lambda each: isinstance(each, Resynced), "resynced")
        assert isinstance(item, Resynced)
        assert "no longer has" in item.because
        await seen.is_(WEB, "running")


async def test_a_token_that_the_stream_has_forgotten(bus: Bus) -> None:
    await tell(bus, *(told(seq, "created", Place("n1", f"c{seq}")) for seq in range(1, 6)))
    config = (await JetStream(bus).api(f"STREAM.INFO.{EVT}"))["config"]
    await JetStream(bus).api(f"STREAM.UPDATE.{EVT}", {**config, "max_msgs": 2})
    async with watching(bus, since=1) as watch:
        seen = Seen(watch)
        await seen.first()
        item = await seen.next()
        assert isinstance(item, Resynced)
        assert item.seq == 5


async def test_a_node_that_falls_silent_is_told_by_a_timer(bus: Bus) -> None:
    """Nobody polls: one read of its key before it is told, and none before that."""
    await is_there(bus)
    async with watching(bus, silent_s=1.0, resync_s=30) as watch:
        seen = Seen(watch)
        assert not (await seen.first()).nodes["n1"].silent
        silent = await seen.node("n1", silent=True)
        assert silent.old is not None
        assert (silent.old.silent, watch.state.nodes["n1"].silent) == (False, True)
        await is_there(bus)
        await seen.node("n1", silent=False)
        await is_there(bus, "n2")
        await seen.node("n2", silent=False)
        assert {(await seen.node("n1", silent=True)).new.node} == {"n1"}
        await seen.node("n2", silent=True)
    async with watching(bus, silent_s=0.001) as watch:
        state = await Seen(watch).first()
        assert all(node.silent for node in state.nodes.values()), "silent from the start"


async def test_a_put_that_never_rang_is_no_silence(bus: Bus) -> None:
    await is_there(bus)
    async with watching(bus, silent_s=1.5, resync_s=30) as watch:
        seen = Seen(watch)
        await seen.first()
        await deafen(bus, f"KV_{NODES_BUCKET}", f"$KV.{NODES_BUCKET}.>", None)
        following = asyncio.create_task(seen.node("n1", silent=True))
        for _ in range(8):
            await asyncio.sleep(0.3)  # two silences long it is heard of, unheard
            await is_there(bus)
            assert not watch.state.nodes["n1"].silent
        await following


async def test_a_node_that_was_removed(bus: Bus) -> None:
    await is_there(bus)
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        await JetStream(bus).publish(node_key("n1"), b"", {"KV-Operation": "DEL"})
        await seen.until(lambda each: isinstance(each, NodeGone), "n1 gone")
        assert not watch.state.nodes


async def test_what_a_node_puts_under_anothers_name_is_not_believed(bus: Bus) -> None:
    view = presence("n2")
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        await JetStream(bus).publish(node_key("n1"), encode(view))
        await JetStream(bus).publish(node_key("n1"), b"\xc1")
        await JetStream(bus).publish(container_key(*WEB), b"\xc1")
        await JetStream(bus).publish(Subjects().event("n1", "web", "started"), b"\xc1")
        await is_there(bus, "n3")
        await seen.node("n3", silent=False)
        assert set(watch.state.nodes) == {"n3"}

        async def past() -> bool:
            return watch.seq == 1

        following = asyncio.create_task(seen.next())
        await eventually(past, "what is no event to be passed over")
        following.cancel()
        await asyncio.wait({following})


async def test_only_what_is_new_of_a_node_is_told(bus: Bus) -> None:
    """A put every 30 s with another time in it is no change."""
    await is_there(bus)
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        later = msgspec.structs.replace(presence("n1"), at="2026-01-31T09:00:30Z")
        await JetStream(bus).publish(node_key("n1"), encode(later))
        down = msgspec.structs.replace(later, state="down")
        await JetStream(bus).publish(node_key("n1"), encode(down))
        item = await seen.node("n1", silent=False)
        assert item.new.info.state == "down"
        assert len(seen.items) == 2


async def test_the_buckets_made_anew(bus: Bus) -> None:
    """What no bucket and no node tells of any more is as it was last."""
    await is_there(bus)
    await tell(bus, told(1, "created"), told(2, "started"))
    await put(bus, 2, "running")
    async with watching(bus) as watch:
        seen = Seen(watch)
        await seen.first()
        await JetStream(bus).api(f"STREAM.DELETE.KV_{CONTAINERS_BUCKET}")
        await Wharfside(bus).setup.bootstrap()
        await tell(bus, told(3, "paused"))
        paused = await seen.is_(WEB, "paused")
        assert isinstance(paused, ContainerChanged)
        assert word_of(paused) == "paused"
