"""A new connection takes the place of a living one: no request is lost, and none comes twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace as changed
from pathlib import Path

import nats
import psutil
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.bus_kit import Kit, call, open_bus, replace
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer

from wharfside_agent.ports.bus import Request

Start = Callable[..., NatsServer]

USERS = 'authorization {{ users: [{{user: "n1", password: "{0}"}}, {{user: "o", password: "o"}}] }}'
RENEWALS = 5


async def test_no_request_is_lost_or_comes_twice(start_nats_server: Start) -> None:
    server = start_nats_server(jetstream=False)
    came: Counter[bytes] = Counter()

    async def count(request: Request) -> bytes:
        came[request.data] += 1
        return request.data

    async with open_bus(server.url) as kit:
        await kit.bus.serve("counted.*", count)
        over = asyncio.Event()
        callers = [asyncio.create_task(ask_on(server.url, number, over)) for number in range(4)]
        for renewal in range(RENEWALS):
            before = came.total()
            await eventually(lambda before=before: came.total() > before, "they ask")
            kit.bus.renew()
            await kit.connected_times(2 + renewal)
        over.set()
        sent = sum(await asyncio.gather(*callers))
        assert came.total() == len(came) == sent >= RENEWALS
        await eventually(lambda: connections(server) == 1, "the former ones are gone")


async def ask_on(url: str, caller: int, over: asyncio.Event) -> int:
    """One request after the other; how many. An answer that does not come is an error."""
    client, count = await nats.connect(url), 0
    try:
        while not over.is_set():
            count += 1
            data = f"{caller}/{count}".encode()
            assert (await client.request("counted.x", data, timeout=BOUND_S)).data == data
    finally:
        await client.close()
    return count


def connections(server: NatsServer) -> int:
    """Of this process to the server."""
    ends = (each.raddr for each in psutil.Process().net_connections("tcp"))
    return sum(1 for end in ends if end and end.port == server.port)


async def test_what_was_asked_before_is_answered(start_nats_server: Start) -> None:
    server = start_nats_server(jetstream=False)
    held, go = asyncio.Event(), asyncio.Event()

    async def hold(request: Request) -> bytes:
        held.set()
        await go.wait()
        return request.data

    async with open_bus(server.url) as kit:
        await kit.bus.serve("held.*", hold)
        asked = asyncio.create_task(call(server.url, "held.x", b"before"))
        await bounded(held.wait(), "the request is there")
        kit.bus.renew()
        await kit.connected_times(2)
        go.set()
        assert await asked == b"before"


async def test_a_file_that_is_refused_costs_nothing(
    start_nats_server: Start, tmp_path: Path
) -> None:
    """The connection that stands goes on; the new one comes when it is let in."""
    file = tmp_path / "password"
    replace(file, "old\n")
    server = start_nats_server(USERS.format("old"), jetstream=False)
    async with open_bus(server.url, user="n1", password_file=file) as kit:
        replace(file, "wrong\n")
        kit.bus.renew()
        await refused(kit)
        assert await call(server.url, "rpc.echo", b"here", user="o", password="o") == b"here"
        replace(file, "old\n")
        kit.bus.renew()
        await kit.connected_times(2)
        assert await call(server.url, "rpc.echo", b"here", user="o", password="o") == b"here"


async def refused(kit: Kit) -> None:
    def said() -> bool:
        return "Authorization" in (kit.bus.view().last_error or "")

    await eventually(said, "the server refuses")


async def test_it_moves_to_another_server(start_nats_server: Start) -> None:
    first = start_nats_server(name="first", jetstream=False)
    second = start_nats_server(name="second", jetstream=False)
    async with open_bus(first.url) as kit:
        kit.bus.renew(changed(kit.bus.options, servers=(second.url,)))
        await kit.connected_times(2)
        assert kit.bus.server == f"127.0.0.1:{second.port}"
        assert await call(second.url, "rpc.echo", b"here") == b"here"


async def test_a_loss_while_it_is_renewed_is_mended(
    start_nats_server: Start, tmp_path: Path
) -> None:
    """The new one is not let in yet when the old one is lost."""
    file = tmp_path / "password"
    replace(file, "old\n")
    server = start_nats_server(USERS.format("old"), jetstream=False)
    async with open_bus(server.url, user="n1", password_file=file) as kit:
        replace(file, "new\n")
        kit.bus.renew()
        await refused(kit)
        server.reload(USERS.format("new"))
        await kit.connected_times(2)
        assert await call(server.url, "rpc.echo", b"here", user="o", password="o") == b"here"
