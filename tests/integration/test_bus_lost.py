"""Connections that die, silently or not: the bus finds another way, with bounds (rule 8)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import nats
import pytest
from nats.aio.msg import Msg
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.bus_kit import call, open_bus
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires
from tests.support.wall import wall

from wharfside_agent.bus.retries import first_delay

Start = Callable[..., NatsServer]


@pytest.fixture
def pair(start_nats_server: Start) -> dict[str, NatsServer]:
    """Two servers by host and port."""
    both = [start_nats_server(name=name, jetstream=False) for name in ("one", "two")]
    return {f"127.0.0.1:{server.port}": server for server in both}


def urls(pair: dict[str, NatsServer]) -> list[str]:
    return [server.url for server in pair.values()]


@requires("root", "iptables")
async def test_half_open_with_unsent_bytes(pair: dict[str, NatsServer]) -> None:
    """nats.py#671: closing waits for bytes that nobody takes. TCP_USER_TIMEOUT ends it, also on
    the connection after the first loss."""
    async with open_bus(*urls(pair), unacked_s=1.0) as kit:
        for connects in (2, 3):
            first = kit.bus.server
            with wall(pair[first].port):
                assert await kit.asked(timeout_s=0.5) == "Undecided"
                await kit.connected_times(connects)
                assert kit.bus.server not in ("", first)
                assert await kit.asked() == "NoStream"
                assert await call(f"nats://{kit.bus.server}", "rpc.echo", b"here") == b"here"
        assert kit.bus.view().reconnects == 2


@requires("root", "iptables")
async def test_half_open_and_idle(pair: dict[str, NatsServer]) -> None:
    """Nothing is sent, so nothing is missed but the PONGs; and nats-py's own closing hangs on the
    PINGs that were never acknowledged (nats.py#671): the socket is dropped with them."""
    async with open_bus(*urls(pair), ping_interval_s=0.3) as kit:
        first = kit.bus.server
        with wall(pair[first].port):
            await kit.until(lambda: kit.bus.server not in ("", first), "another server")


async def test_a_stopped_server_is_left_and_taken_again(pair: dict[str, NatsServer]) -> None:
    """SIGSTOP: its kernel acknowledges everything, and nobody answers."""
    async with open_bus(*urls(pair), ping_interval_s=0.3) as kit:
        first = pair[kit.bus.server]
        (second,) = (each for each in pair.values() if each is not first)
        first.pause()
        await kit.until(lambda: pair.get(kit.bus.server) is second, "the other server")
        first.resume()
        second.kill()
        await kit.until(lambda: pair.get(kit.bus.server) is first, "the first one again")


async def test_a_stopped_only_server_is_waited_for(pair: dict[str, NatsServer]) -> None:
    (only, _) = pair.values()
    async with open_bus(only.url, ping_interval_s=0.5) as kit:
        only.pause()
        while kit.bus.connected:
            assert await kit.asked(timeout_s=0.5) in ("Undecided", "Offline")
            await asyncio.sleep(0.02)
        only.resume()
        await kit.connected_times(2)
        assert await call(only.url, "rpc.echo", b"here") == b"here"


async def test_killed_and_started_many_times(pair: dict[str, NatsServer]) -> None:
    (only, _) = pair.values()
    async with open_bus(only.url) as kit:
        for connects in range(2, 6):
            only.kill()
            await asyncio.to_thread(only.start)
            await kit.connected_times(connects)
            assert await call(only.url, "rpc.echo", b"here") == b"here"
        assert kit.bus.view().reconnects == 4


async def test_offline_is_told_at_once_and_nothing_is_buffered(
    pair: dict[str, NatsServer],
) -> None:
    """nats.md row 13: nats-py's requests leak when its offline buffer is full; ours never enter it,
    and what waited for an answer when the server died is told, too."""
    (only, _) = pair.values()
    async with open_bus(only.url) as kit, AsyncExitStack() as stack:
        await stack.enter_async_context(_who_never_answers(only.url, "mute.>"))
        waiting = [asyncio.create_task(kit.asked("mute.x", 30.0)) for _ in range(50)]
        await asyncio.sleep(0)
        only.kill()
        told = await bounded(asyncio.gather(*waiting), "what waited is told")
        assert set(told) <= {"Undecided", "Offline"}
        # no answer is waited for: all of them would take days
        outcomes = {await kit.asked(timeout_s=30.0) for _ in range(5_000)}
        assert outcomes == {"Offline"}


async def test_a_dead_and_a_mute_server_in_the_list(pair: dict[str, NatsServer]) -> None:
    """One that refuses and one that accepts and says nothing: neither holds the bus up for ever."""
    (live, dead) = pair.values()
    dead.kill()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        servers = (dead.url, f"nats://127.0.0.1:{port}", live.url)
        async with open_bus(*servers, wait=False) as kit:
            await kit.connected_times(1)
            assert kit.bus.server == f"127.0.0.1:{live.port}"


async def test_a_fleet_comes_back_spread_out(
    pair: dict[str, NatsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats.md, Missing: nats-py has no jitter, a fleet comes back as one. Each waits as long as it
    drew; when this process gets the CPU then is the machine's luck."""
    (only, _) = pair.values()
    drawn: list[float] = []

    def draw(spread_s: float) -> float:
        drawn.append(first_delay(spread_s))
        return drawn[-1]

    monkeypatch.setattr("wharfside_agent.bus.finder.first_delay", draw)
    async with asyncio.TaskGroup() as group:
        back: list[float] = []
        ready = asyncio.Barrier(21)

        async def node() -> None:
            async with open_bus(only.url, spread_s=2.0) as kit:
                await ready.wait()
                await kit.connected_times(2)
                back.append(time.monotonic())

        for _ in range(20):
            group.create_task(node())
        await ready.wait()
        lost = time.monotonic()
        await asyncio.to_thread(only.restart)
    assert len(drawn) == len(back)
    assert max(drawn) - min(drawn) > 0.5
    assert max(_within(drawn, at, 0.1) for at in drawn) < 12
    assert all(at - lost >= delay for at, delay in zip(sorted(back), sorted(drawn), strict=True))


def _within(times: list[float], start: float, seconds: float) -> int:
    return sum(start <= at < start + seconds for at in times)


@asynccontextmanager
async def _who_never_answers(url: str, subject: str) -> AsyncIterator[None]:
    async def ignore(_message: Msg) -> None: ...

    client = await nats.connect(
        url, allow_reconnect=False, max_reconnect_attempts=1, connect_timeout=BOUND_S
    )
    try:
        await client.subscribe(subject, cb=ignore)
        await client.flush()
        yield
    finally:
        await client.close()
