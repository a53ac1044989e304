"""The server does not let the node in any more: a new client reads its credentials again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.bus_kit import Kit, call, open_bus, replace
from tests.support.eventually import eventually
from tests.support.jwts import Trust
from tests.support.nats_server import NatsServer

from wharfside_client.auth.keys import Key, Kind

Start = Callable[..., NatsServer]

USERS = 'authorization {{ users: [{{user: "n1", password: "{0}"}}, {{user: "o", password: "o"}}] }}'


async def served(kit: Kit, server: NatsServer, **options: str) -> None:
    url = server.url
    assert await call(url, "rpc.echo", b"here", **options) == b"here"
    assert kit.bus.server == f"127.0.0.1:{server.port}"


async def test_a_password_is_rotated_by_a_reload(start_nats_server: Start, tmp_path: Path) -> None:
    """nats.py#1019: an -ERR ends nats-py in CLOSED for good, with whatever it was given once."""
    file = tmp_path / "password"
    replace(file, "old\n")
    server = start_nats_server(USERS.format("old"), jetstream=False)
    async with open_bus(server.url, user="n1", password_file=file) as kit:
        replace(file, "new\n")
        server.reload(USERS.format("new"))
        await kit.connected_times(2)
        await served(kit, server, user="o", password="o")


async def test_the_file_may_come_after_the_reload(start_nats_server: Start, tmp_path: Path) -> None:
    file = tmp_path / "password"
    replace(file, "old\n")
    server = start_nats_server(USERS.format("old"), jetstream=False)
    async with open_bus(server.url, user="n1", password_file=file) as kit:
        server.reload(USERS.format("new"))
        await refused(kit, "Authorization")
        replace(file, "new\n")
        await kit.connected_times(2)
        await served(kit, server, user="o", password="o")


async def test_an_nkey_is_rotated(start_nats_server: Start, tmp_path: Path) -> None:
    """nats-py computes the public key once: with another seed it would sign for the old one."""
    keys = [Key.make(Kind.USER) for _ in range(2)]
    config = 'authorization {{ users: [{{nkey: "{0}"}}, {{user: "o", password: "o"}}] }}'
    file = tmp_path / "seed"
    replace(file, keys[0].seed)
    server = start_nats_server(config.format(keys[0].public), jetstream=False)
    async with open_bus(server.url, nkey_seed=file) as kit:
        replace(file, keys[1].seed)
        server.reload(config.format(keys[1].public))
        await kit.connected_times(2)
        await served(kit, server, user="o", password="o")


async def test_an_expired_jwt_is_followed_by_the_next(
    start_nats_server: Start, tmp_path: Path
) -> None:
    """nats.py#1019: `user authentication expired` is such an -ERR."""
    trust = Trust()
    creds, other = tmp_path / "node.creds", tmp_path / "other.creds"
    replace(other, trust.creds())
    server = start_nats_server(trust.config, jetstream=False)

    async def issue() -> None:
        """One that ends soon; on a busy machine it may have ended before it is used."""
        while True:
            replace(creds, trust.creds(expires=int(time.time()) + 2))
            await asyncio.sleep(0.5)

    issuing = asyncio.create_task(issue())
    await asyncio.sleep(0)
    async with open_bus(server.url, creds=creds) as kit:
        issuing.cancel()
        await refused(kit, "xpired")
        connects = kit.connects  # a later one of those may have let it in once more
        replace(creds, trust.creds())
        await kit.connected_times(connects + 1)
        await served(kit, server, user_credentials=str(other))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
async def test_a_truncated_creds_file_spins_nothing(
    start_nats_server: Start, tmp_path: Path, keep: float
) -> None:
    """nats.md row 10: nats-py reads on behind the end of the file, for ever, on the loop."""
    trust = Trust()
    creds, other = tmp_path / "node.creds", tmp_path / "other.creds"
    replace(other, trust.creds())
    whole = trust.creds()
    replace(creds, whole[: int(len(whole) * keep)])
    server = start_nats_server(trust.config, jetstream=False)
    async with open_bus(server.url, creds=creds, wait=False) as kit:
        await refused(kit, "BadCredentials")
        replace(creds, whole)
        await kit.connected_times(1)
        await served(kit, server, user_credentials=str(other))


async def test_too_many_subscriptions(start_nats_server: Start) -> None:
    """nats.py#1019 again; tries go on, spread out, until the limit is raised."""
    server = start_nats_server("max_subscriptions: 6", jetstream=False)
    async with open_bus(server.url, wait=False) as kit:
        await refused(kit, "ubscriptions")
        await asyncio.to_thread(server.restart, config="max_subscriptions: 1000")
        await kit.until(lambda: kit.bus.connected, "a connection")
        await served(kit, server)
        assert await kit.asked() == "NoStream"


async def test_a_user_that_is_gone_and_back(start_nats_server: Start, tmp_path: Path) -> None:
    server = start_nats_server(USERS.format("same"), jetstream=False)
    async with open_bus(server.url, user="n1", password="same") as kit:
        server.reload('authorization { users: [{user: "o", password: "o"}] }')
        await refused(kit, "Authorization")
        assert await kit.asked() == "Offline"
        server.reload(USERS.format("same"))
        await kit.connected_times(2)
        await served(kit, server, user="o", password="o")


async def refused(kit: Kit, words: str) -> None:
    """Until the bus says so; no callback tells of a refusal."""

    def said() -> bool:
        return not kit.bus.connected and words in (kit.bus.view().last_error or "")

    await eventually(said, f"{words} in the view")
