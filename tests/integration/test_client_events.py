"""The event stream on a real server: everything, in order, once, whatever happens to it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable

import nats
import pytest
from nats.aio.client import Client as Nats
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.cli_kit import typed
from tests.integration.client_kit import event, opened_bus, publish_many, tell
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import EventFilter, EventsLost, EventStream, NotSetUp, Wharfside
from wharfside_client.bus import Bus
from wharfside_client.errors import NoResponders
from wharfside_client.events import LIVE_LIMIT
from wharfside_client.history import facts_of
from wharfside_client.jetstream import JetStream
from wharfside_client.live import LIMIT
from wharfside_protocol.assets import EVT
from wharfside_protocol.codec import encode
from wharfside_protocol.event_facts import Started
from wharfside_protocol.subjects import Subjects

pytestmark = requires("nats-server")

SUBJECT = Subjects().event("n1", "web", "started")


@pytest.fixture
def fleet(bus: Bus) -> Wharfside:
    return Wharfside(bus)


async def next_numbers(stream: EventStream, count: int) -> list[int]:
    async def take() -> list[int]:
        return [(await anext(stream)).event.seq for _ in range(count)]

    return await bounded(take(), f"{count} events")


async def republish(bus: Bus, *, on: bool) -> None:
    """Takes the doorbell away, or puts it back: what is stored meanwhile never rings."""
    config = (await JetStream(bus).api(f"STREAM.INFO.{EVT}"))["config"]
    bell = {"src": "wharfside.v1.evt.>", "dest": "wharfside.v1.live.evt.>"}
    await JetStream(bus).api(f"STREAM.UPDATE.{EVT}", {**config, "republish": bell if on else None})


async def test_from_now_on_only_what_comes_is_told(bus: Bus, fleet: Wharfside) -> None:
    await tell(bus, 1, 2, 3)
    async with fleet.events() as stream:
        await tell(bus, 4, 5)
        assert await next_numbers(stream, 2) == [4, 5]
        assert stream.last_seq == 5


async def test_what_is_stored_and_what_comes_is_told_as_one(bus: Bus, fleet: Wharfside) -> None:
    await tell(bus, 1, 2, 3)
    async with fleet.events(since=0) as stream:
        await tell(bus, 4)
        assert await next_numbers(stream, 4) == [1, 2, 3, 4]
        await tell(bus, 5)
        assert await next_numbers(stream, 1) == [5]


async def test_more_than_one_page_is_told_whole(bus: Bus, fleet: Wharfside) -> None:
    numbers = range(1, 2501)
    await publish_many(bus, [(SUBJECT, encode(event(n))) for n in numbers])
    async with fleet.events(since=0) as stream:
        assert sorted(await next_numbers(stream, len(numbers))) == list(numbers)
        assert stream.last_seq == 2500
    read = [stored.seq async for stored in fleet.history(1200)]
    assert read == list(range(1201, 2501))


async def test_a_reader_resumes_where_it_stopped(bus: Bus, fleet: Wharfside) -> None:
    await tell(bus, 1, 2, 3, 4)
    async with fleet.events(since=0) as stream:
        assert await next_numbers(stream, 2) == [1, 2]
        token = stream.last_seq
    await tell(bus, 5)
    async with fleet.events(since=token) as stream:
        assert await next_numbers(stream, 3) == [3, 4, 5]


async def test_a_script_goes_on_behind_the_sequence_that_it_was_told(
    bus: Bus, nats_server: NatsServer
) -> None:
    """The stream's own: an event's `seq` counts its node, and is another one."""
    await tell(bus, 7, 8)
    await tell(bus, 3, node="n2")

    async def since(seq: int) -> list[tuple[int, int]]:
        ran = await typed(nats_server.url, "events", "--json", "--since", str(seq))
        lines = [json.loads(line) for line in ran.out.splitlines()]
        return [(line["stream_seq"], line["seq"]) for line in lines]

    assert await since(0) == [(1, 7), (2, 8), (3, 3)]
    assert await since(2) == [(3, 3)]


async def test_what_did_not_ring_is_read_before_what_did(bus: Bus, fleet: Wharfside) -> None:
    async with fleet.events() as stream:
        await tell(bus, 1)
        assert await next_numbers(stream, 1) == [1]
        await republish(bus, on=False)
        await tell(bus, 2, 3)
        await republish(bus, on=True)
        await tell(bus, 4)
        assert await next_numbers(stream, 3) == [2, 3, 4]


async def test_what_never_rings_is_found_all_the_same(bus: Bus) -> None:
    wanted = EventFilter()
    async with EventStream(bus, Subjects(), wanted, None, resync_s=0.1) as stream:
        await republish(bus, on=False)
        await tell(bus, 1, 2)
        assert await next_numbers(stream, 2) == [1, 2]


async def test_a_filter_takes_its_events_and_misses_none(bus: Bus, fleet: Wharfside) -> None:
    async with fleet.events(wanted=EventFilter(node="n2", container="db")) as stream:
        await tell(bus, 1, 2)
        await tell(bus, 3, node="n2", container="db")
        await tell(bus, 4, node="n2", container="web")
        await republish(bus, on=False)
        await tell(bus, 5, node="n2", container="db")
        await republish(bus, on=True)
        await tell(bus, 6, node="n2", container="db")
        assert await next_numbers(stream, 3) == [3, 5, 6]


async def test_a_slow_reader_loses_nothing(bus: Bus, fleet: Wharfside) -> None:
    numbers = range(1, 2 * LIVE_LIMIT)
    async with fleet.events() as stream:
        await publish_many(bus, [(SUBJECT, encode(event(n))) for n in numbers])
        assert sorted(await next_numbers(stream, len(numbers))) == list(numbers)
        await tell(bus, 9000)
        assert await next_numbers(stream, 1) == [9000]


async def test_a_restart_of_the_server_is_outlived(
    nats_server: NatsServer, bus: Bus, fleet: Wharfside
) -> None:
    async with fleet.events() as stream:
        await tell(bus, 1)
        assert await next_numbers(stream, 1) == [1]
        await asyncio.to_thread(nats_server.restart)
        async with opened_bus(nats_server.url) as other:
            await tell(other, 2, 3)
            assert await next_numbers(stream, 2) == [2, 3]
            await tell(other, 4)
            assert await next_numbers(stream, 1) == [4]


async def test_a_stream_that_was_made_anew_is_told(bus: Bus, fleet: Wharfside) -> None:
    async with fleet.events() as stream:
        await tell(bus, 1, 2)
        assert await next_numbers(stream, 2) == [1, 2]
        await JetStream(bus).api(f"STREAM.DELETE.{EVT}")
        await fleet.setup.bootstrap()
        await tell(bus, 3)
        with pytest.raises(EventsLost, match="made anew"):
            await next_numbers(stream, 1)
    with pytest.raises(EventsLost):
        async with fleet.events(since=2):
            pass


async def test_a_token_older_than_the_stream_is_told(bus: Bus, fleet: Wharfside) -> None:
    await tell(bus, 1, 2, 3, 4, 5)
    config = (await JetStream(bus).api(f"STREAM.INFO.{EVT}"))["config"]
    await JetStream(bus).api(f"STREAM.UPDATE.{EVT}", {**config, "max_msgs": 2})
    with pytest.raises(EventsLost) as caught:
        async with fleet.events(since=2):
            pass
    assert (caught.value.details["after"], caught.value.details["first"]) == (2, 4)
    async with fleet.events(since=3) as stream:
        assert await next_numbers(stream, 2) == [4, 5]


async def test_a_time_is_a_place_to_begin_too(bus: Bus, fleet: Wharfside) -> None:
    await tell(bus, 1, 2)
    async with fleet.events(since="2020-01-01T00:00:00Z") as stream:
        assert await next_numbers(stream, 2) == [1, 2]
    async with fleet.events(since="2100-01-01T00:00:00Z") as stream:
        await tell(bus, 3)
        assert await next_numbers(stream, 1) == [3]


async def test_what_is_no_event_or_of_another_node_is_skipped_and_counted(
    bus: Bus, fleet: Wharfside, caplog: pytest.LogCaptureFixture
) -> None:
    js, subjects = JetStream(bus), Subjects()
    with caplog.at_level(logging.WARNING, "wharfside.client"):
        async with fleet.events() as stream:
            await js.publish(subjects.event("n1", "web", "started"), b"\xc1")
            await js.publish(subjects.event("n2", "web", "started"), encode(event(1, node="n1")))
            await tell(bus, 2)
            assert await next_numbers(stream, 1) == [2]
            assert stream.skipped == 2
    assert "tells of n1/web" in caplog.text


async def test_the_facts_of_an_event_are_a_record(bus: Bus, fleet: Wharfside) -> None:
    async with fleet.events() as stream:
        await tell(bus, 7)
        assert facts_of((await bounded(anext(stream), "event")).event) == Started(pid=7)


@pytest.fixture
async def plain(start_nats_server: Callable[..., NatsServer]) -> AsyncIterator[tuple[Bus, Nats]]:
    """A client, and a node's connection, to a server that stores nothing."""
    server = start_nats_server(name="plain", jetstream=False)
    node = await nats.connect(server.url)
    async with opened_bus(server.url) as bus:
        yield bus, node
    await node.close()


async def settle(bus: Bus) -> None:
    """What was subscribed before is known to the server once a later request is answered."""
    with pytest.raises(NoResponders):
        await bus.request("nobody.listens", b"", BOUND_S)


async def test_without_the_stream_events_are_told_as_they_pass(plain: tuple[Bus, Nats]) -> None:
    bus, node = plain
    fleet = Wharfside(bus)
    with pytest.raises(NotSetUp, match="bootstrap"):
        async with fleet.events():
            pass
    async with fleet.live_events() as live:
        await settle(bus)
        for number in (1, 2):
            await node.publish(SUBJECT, encode(event(number)))
        told = [await bounded(anext(live), "a live event") for _ in range(2)]
    assert [(seq, event.seq) for seq, event in told] == [(0, 1), (0, 2)]


async def test_a_reader_too_slow_for_unstored_events_is_told(plain: tuple[Bus, Nats]) -> None:
    bus, node = plain
    async with Wharfside(bus).live_events() as live:
        await settle(bus)
        for number in range(LIMIT + 10):
            await node.publish(SUBJECT, encode(event(number)))
        await node.flush()
        await eventually(lambda: live.lost == 10, "events that were too many")
        with pytest.raises(EventsLost, match="faster"):
            await anext(live)
