"""The watch of streams and buckets that forget: made anew, expired, past the token."""

from __future__ import annotations

import asyncio

from tests.integration.client_kit import opened_bus
from tests.integration.played_nodes import WEB, is_there, put, tell, told, watching
from tests.integration.watching import Seen, word_of
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import ContainerChanged, Place, Resynced, Wharfside
from wharfside_client.bus import Bus
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import CONTAINERS_BUCKET, EVT

pytestmark = requires("nats-server")


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
