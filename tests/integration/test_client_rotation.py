"""A client that follows for days: what lets it in is rotated, and nothing is missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.integration.bounds import bounded
from tests.integration.bus_kit import replace
from tests.integration.client_kit import opened_bus
from tests.integration.played_nodes import tell, told
from tests.support.eventually import wait_until
from tests.support.jwts import Trust
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import ServerSettings, Wharfside, connect
from wharfside_client.auth.tls import TlsFolder
from wharfside_client.events import EventStream

pytestmark = requires("nats-server")

Start = Callable[..., NatsServer]


@asynccontextmanager
async def following(settings: ServerSettings) -> AsyncIterator[EventStream]:
    async with connect(settings) as fleet, fleet.events() as stream:
        yield stream


async def number(stream: EventStream) -> int:
    _seq, event = await bounded(anext(stream), "an event that was told")
    return event.seq


async def test_an_expired_jwt(start_nats_server: Start, tmp_path: Path) -> None:
    trust = Trust()
    server = start_nats_server(f"{trust.config}debug: true\n")
    lasting, creds = tmp_path / "lasting.creds", tmp_path / "user.creds"
    replace(lasting, trust.creds())
    async with opened_bus(server.url, creds=str(lasting)) as bus:
        await Wharfside(bus).setup.bootstrap()
        replace(creds, trust.creds(expires=int(time.time()) + 8))
        async with following(ServerSettings(servers=(server.url,), creds=str(creds))) as stream:
            await tell(bus, told(1, "created"))
            assert await number(stream) == 1
            replace(creds, trust.creds())
            await asyncio.to_thread(until_logged, server, "Authentication Expired")
            await tell(bus, told(2, "started"))
            assert await number(stream) == 2


def until_logged(server: NatsServer, words: str) -> None:
    wait_until(lambda: words in server.log, words)


async def test_another_authority(start_nats_server: Start, tmp_path: Path) -> None:
    """Server and client have their certificates of an authority that nobody knew before."""
    old, new = tls(tmp_path / "old"), tls(tmp_path / "new")
    used = {name: tmp_path / name for name in ("ca.pem", "client.pem", "client.key")}

    def use(folder: TlsFolder) -> ServerSettings:
        issued = folder.issue("client")
        for name, source in zip(used, (folder.ca, issued.certificate, issued.key), strict=True):
            replace(used[name], source.read_text())
        ca, cert, key = map(str, used.values())
        return ServerSettings(servers=(server.url,), ca=ca, cert=cert, key=key)

    server = start_nats_server(serving(old))
    settings = use(old)
    async with connect(settings) as fleet:
        await fleet.setup.bootstrap()
    async with following(settings) as stream:
        await tell_once(settings, 1, "created")
        assert await number(stream) == 1
        use(new)
        await asyncio.to_thread(server.restart, config=serving(new))
        await tell_once(settings, 2, "started")
        assert await number(stream) == 2


def tls(folder: Path) -> TlsFolder:
    folder.mkdir()
    made = TlsFolder(folder)
    made.make_authority()
    return made


def serving(folder: TlsFolder) -> str:
    """A server's configuration that takes clients of the same authority alone."""
    issued = folder.issue("server", ["127.0.0.1"])
    return (
        f'tls {{ cert_file: "{issued.certificate}", key_file: "{issued.key}", '
        f'ca_file: "{folder.ca}", verify: true }}'
    )


async def tell_once(settings: ServerSettings, number: int, type_: str) -> None:
    """By a client of its own, with the files as they are now."""
    others = {name: getattr(settings, name) for name in ("ca", "cert", "key")}
    async with opened_bus(settings.servers[0], **others) as bus:
        await tell(bus, told(number, type_))
