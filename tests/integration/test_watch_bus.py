"""The watch against a bus that loses, forgets and hurries: nodes played by the test."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.integration.client_kit import opened_bus, presence, publish_many
from tests.integration.played_nodes import (
    TIME,
    TWO,
    WEB,
    deafen,
    is_there,
    put,
    tell,
    told,
    watching,
)
from tests.integration.watching import Seen, place_of
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import ContainerGone, NodeChanged, NodeGone, NotSetUp, Place, Watch
from wharfside_client.bus import Bus
from wharfside_client.jetstream import JetStream
from wharfside_client.settings import ServerSettings
from wharfside_protocol.assets import EVT, NODES_BUCKET, container_key, node_key
from wharfside_protocol.codec import encode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.subjects import Subjects

pytestmark = requires("nats-server")


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
        patience_s = 0.0005
        while watch.seq < 120 or len(seen.items) < 121:
            try:
                seen.items.append(await asyncio.wait_for(anext(watch), patience_s))
            except TimeoutError:
                patience_s *= 1.01  # a machine that needs longer for a history gets there, too
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


async def test_a_node_that_falls_silent_is_told_by_a_timer(bus: Bus) -> None:
    """Nobody polls: one read of its key before it is told, and none before that."""
    await is_there(bus)
    async with watching(bus, silent_s=3.0, resync_s=30) as watch:
        seen = Seen(watch)
        assert not (await seen.first()).nodes["n1"].silent
        silent = await seen.node("n1", silent=True)
        assert silent.old is not None
        assert (silent.old.silent, watch.state.nodes["n1"].silent) == (False, True)
        await is_there(bus)
        await seen.node("n1", silent=False)
        await is_there(bus, "n2")
        silent_again: list[str] = []

        def both_are_silent(item: object) -> bool:
            if isinstance(item, NodeChanged) and item.new.silent:
                silent_again.append(item.new.node)
            return len(silent_again) == 2

        await seen.until(both_are_silent, "both silent")
        assert silent_again == ["n1", "n2"]
    async with watching(bus, silent_s=0.001) as watch:
        state = await Seen(watch).first()
        assert all(node.silent for node in state.nodes.values()), "silent from the start"


async def test_a_put_that_never_rang_is_no_silence(bus: Bus) -> None:
    await is_there(bus)
    silent_s, now = 2.5, asyncio.get_running_loop().time
    async with watching(bus, silent_s=silent_s, resync_s=30) as watch:
        seen = Seen(watch)
        await seen.first()
        await deafen(bus, f"KV_{NODES_BUCKET}", f"$KV.{NODES_BUCKET}.>", None)
        following = asyncio.create_task(seen.node("n1", silent=True))
        held_up = False
        for _ in range(12):
            began = now()
            await asyncio.sleep(0.3)  # longer than a silence it is heard of, unheard
            await is_there(bus)
            # where this process or the server stood still between two puts, it was silent
            held_up = held_up or now() - began > silent_s / 2
            assert held_up or not watch.state.nodes["n1"].silent
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
