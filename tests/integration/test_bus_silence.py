"""What ends nats-py in silence, while it says that it is connected: callbacks, late answers."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from structlog.testing import capture_logs
from tests.integration.bounds import BOUND_S
from tests.integration.bus_kit import call, open_bus
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer

from wharfside_agent.bus.retries import CONNECT, first_delay


@pytest.fixture
def server(start_nats_server) -> NatsServer:  # type: ignore[no-untyped-def]
    made: NatsServer = start_nats_server(jetstream=False)
    return made


async def test_connected_is_told_once_the_node_can_be_asked(server: NatsServer) -> None:
    """Whoever reads the log asks it then, and gives up after a second in which nobody is there."""
    early: list[bool] = []
    with capture_logs() as told:

        async def setup(_client: Client) -> None:
            early.append(any(each["event"] == "bus-connected" for each in told))

        async with open_bus(server.url, prepare=lambda kit: kit.bus.on_client(setup)):
            assert early == [False]
            assert [each["event"] for each in told] == ["bus-connected"]


async def test_what_callbacks_raise_ends_nothing(server: NatsServer) -> None:
    """nats.md rows 3 and 4: an exception in the read loop ends it, one in a callback the
    reconnecting. Listener, handler and on_connected raise here."""

    def broken(*_anything: object) -> None:
        raise ValueError("a callback that is broken")

    async with open_bus(server.url) as kit:
        kit.on_heard = broken
        kit.bus.on_connected(broken)
        for _ in range(3):
            publisher = await nats.connect(server.url)
            await publisher.publish("told.x", b"news")
            await publisher.publish("rpc.echo", b"raise", reply="nobody.waits")
            await publisher.flush()
            await publisher.close()
        await eventually(lambda: len(kit.heard) == 3, "all heard")
        assert await call(server.url, "rpc.echo", b"here") == b"here"
        await asyncio.to_thread(server.restart)
        await kit.connected_times(2)
        assert await call(server.url, "rpc.echo", b"here") == b"here"


async def test_a_dead_read_loop_is_noticed(server: NatsServer) -> None:
    """nats.md row 3: a PONG that comes after its `flush` timed out ends nats-py's read loop, and
    `is_connected` stays true. Nothing is heard then, and a new client takes over."""
    async with open_bus(server.url, unanswered_s=2.0) as kit:
        link = kit.bus._link
        assert link is not None
        server.pause()
        with pytest.raises(nats.errors.TimeoutError):
            await link.client.flush(timeout=1)
        server.resume()
        await kit.connected_times(2)
        assert link.client is not kit.bus._link.client
        assert "nothing heard" in (kit.bus.view().last_error or "")
        assert await call(server.url, "rpc.echo", b"here") == b"here"


async def test_requests_that_nobody_answers_end_a_client(server: NatsServer) -> None:
    """PINGs are answered, requests are not (a lost inbox looks so): a new client, and where that
    is no help, because the stream has no leader, ever fewer of them."""

    async def ignore(_message: Msg) -> None: ...

    mute = await nats.connect(server.url)
    await mute.subscribe("mute.>", cb=ignore)
    await mute.flush()
    async with open_bus(server.url, unanswered_s=1.0, ping_interval_s=0.4) as kit:
        # a server that gets no CPU is left for other reasons, too
        while "no request answered for 2 s" not in (kit.bus.view().last_error or ""):
            assert await kit.asked("mute.x", 0.3) in ("Undecided", "Offline")
            await asyncio.sleep(0.02)
        assert kit.connects >= 2
        await kit.until(lambda: kit.bus.connected, "a connection")
        assert await kit.asked() == "NoStream"
    await mute.close()


async def test_one_who_answers_is_kept(server: NatsServer) -> None:
    """But by a machine that gives nobody the CPU for half of that time, which shows nothing."""
    outcomes, answered = list[str](), [time.monotonic()]
    async with open_bus(server.url, unanswered_s=1.0) as kit:
        for _ in range(10):
            outcomes.append(await kit.asked())
            answered.append(time.monotonic())
            await asyncio.sleep(0.2)
        kept = (kit.connects, set(outcomes)) == (1, {"NoStream"})
    assert kept or max(later - earlier for earlier, later in pairwise(answered)) > 0.5


async def test_a_burst_is_answered_or_refused(server: NatsServer) -> None:
    """nats.md rows 11 and 16: micro serves one request at a time, and a slow consumer drops in
    silence; here each gets an answer, `busy` where there are too many."""
    async with open_bus(server.url) as kit:
        caller = await nats.connect(server.url)
        asked = (caller.request("rpc.echo", b"%d" % n, timeout=60) for n in range(3_000))
        answers = [bytes(each.data) for each in await asyncio.gather(*asked)]
        assert all(answer in (b"busy", b"%d" % n) for n, answer in enumerate(answers))
        assert kit.bus.view().slow_consumers == 0
        await caller.close()


async def test_an_answer_carries_no_headers_of_the_request(server: NatsServer) -> None:
    """nats.md row 12: nats-py's `respond` echoes the request's headers."""
    async with open_bus(server.url):
        caller = await nats.connect(server.url)
        headers = {"Nats-Msg-Id": "mine", "traceparent": "00-1-2-01"}
        answer = await caller.request("rpc.echo", b"x", headers=headers, timeout=BOUND_S)
        assert answer.headers == {"traceparent": "00-1-2-01"}
        await caller.close()


def test_delays_are_spread_and_never_zero() -> None:
    """nats.md, Missing: a reconnect handler that returns 0 spins."""

    class State:
        def __init__(self, attempt: int) -> None:
            self.attempt_number = attempt

    first = [first_delay(3.0) for _ in range(200)]
    later = [CONNECT(State(n)) for n in range(1, 200)]  # type: ignore[arg-type]
    assert min(*first, *later, first_delay(0.0)) >= 0.05
    assert max(first) - min(first) > 1
    assert max(later) <= 15
    assert len({round(each, 6) for each in later}) > 150
