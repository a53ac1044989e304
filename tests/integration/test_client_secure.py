"""Ways in: password, nkey, credentials file, TLS, and contexts of the nats CLI."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.jwts import Trust
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import NodeUnreachable, ServerSettings, ServerUnreachable, connect
from wharfside_client.auth.keys import Key, Kind
from wharfside_client.auth.tls import TlsFolder
from wharfside_client.contexts import find_settings
from wharfside_client.errors import ClientError, Refused

pytestmark = requires("nats-server")


async def get_in(settings: ServerSettings) -> None:
    """A server that answers (that there is no such node) has let us in."""
    async with connect(settings) as fleet:
        with pytest.raises(NodeUnreachable):
            await fleet.node("n1").ping(unreachable_s=0)


async def test_with_an_nkey(start_nats_server: Callable[..., NatsServer], tmp_path: Path) -> None:
    key = Key.make(Kind.USER).save(tmp_path / "user.nk")
    server = start_nats_server(f'authorization {{ users = [{{nkey: "{key.public}"}}] }}')
    await get_in(ServerSettings(servers=(server.url,), nkey=str(tmp_path / "user.nk")))
    Key.make(Kind.USER).save(tmp_path / "other.nk")
    with pytest.raises(Refused):
        await get_in(ServerSettings(servers=(server.url,), nkey=str(tmp_path / "other.nk")))


async def test_with_a_credentials_file(
    start_nats_server: Callable[..., NatsServer], tmp_path: Path
) -> None:
    trust = Trust()
    server = start_nats_server(trust.config, jetstream=False)
    creds = tmp_path / "user.creds"
    creds.write_text(trust.creds())
    await get_in(ServerSettings(servers=(server.url,), creds=str(creds)))


async def test_with_a_password_in_the_url(start_nats_server: Callable[..., NatsServer]) -> None:
    server = start_nats_server("authorization { user: ops, password: right }")
    await get_in(ServerSettings(servers=(server.url.replace("//", "//ops:right@"),)))
    with pytest.raises(Refused):
        await get_in(ServerSettings(servers=(server.url.replace("//", "//ops:wrong@"),)))


async def test_with_a_context_of_the_nats_cli(
    start_nats_server: Callable[..., NatsServer], tmp_path: Path
) -> None:
    server = start_nats_server("authorization { user: ops, password: right }")
    folder = tmp_path / "nats/context"
    folder.mkdir(parents=True)
    context = {"url": server.url, "user": "ops", "password": "right"}
    (folder / "lab.json").write_text(json.dumps(context))
    await get_in(find_settings({}, "lab", {"XDG_CONFIG_HOME": str(tmp_path)}))


@pytest.mark.parametrize("at_once", [True, False], ids=["reset", "closed"])
async def test_a_server_that_hangs_up_without_a_word_is_not_told_as_none(at_once: bool) -> None:
    """What it said last may be lost with that."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576}\r\n')
        await writer.drain()
        if at_once:
            linger = struct.pack("ii", 1, 0)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ServerUnreachable, match="hung up"):
            await get_in(ServerSettings(servers=(f"nats://127.0.0.1:{port}",)))


async def test_with_tls(start_nats_server: Callable[..., NatsServer], tmp_path: Path) -> None:
    folder = TlsFolder(tmp_path)
    folder.make_authority()
    server_s = folder.issue("server", ["127.0.0.1"])
    server = start_nats_server(
        f'tls {{ cert_file: "{server_s.certificate}", key_file: "{server_s.key}" }}'
    )
    await get_in(ServerSettings(servers=(server.url,), ca=str(folder.ca)))
    with pytest.raises(ClientError) as caught:
        await get_in(ServerSettings(servers=(server.url.replace("nats:", "tls:"),)))
    assert isinstance(caught.value, ServerUnreachable | Refused)
    assert "certificate" in caught.value.message.lower()
