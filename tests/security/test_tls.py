"""TLS: who does not prove who it is gets nothing, and is told what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.integration.bus_kit import call, open_bus
from tests.security.told import advice
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import NodeUnreachable, ServerSettings, connect
from wharfside_client.auth.tls import Issued, TlsFolder
from wharfside_client.errors import Refused, ServerUnreachable, Untrusted

pytestmark = requires("nats-server")

Start = Callable[..., NatsServer]
SOON_OVER = -0.001
"""Days: it expired a minute ago."""


@pytest.fixture
def ours(tmp_path: Path) -> TlsFolder:
    return authority(tmp_path / "ours")


@pytest.fixture
def foreign(tmp_path: Path) -> TlsFolder:
    return authority(tmp_path / "foreign")


def authority(folder: Path) -> TlsFolder:
    tls = TlsFolder(folder)
    tls.make_authority()
    return tls


def config(server: Issued, ca: Path | None = None, *, first: bool = False) -> str:
    """`ca`: clients show certificates by it."""
    asked = "" if ca is None else f', ca_file: "{ca}", verify: true'
    asked += ", handshake_first: true" if first else ""
    return f'tls {{ cert_file: "{server.certificate}", key_file: "{server.key}"{asked} }}'


def trusting(tls: TlsFolder, shown: Issued | None = None) -> ServerSettings:
    """Settings without a server."""
    settings = ServerSettings(ca=str(tls.ca))
    if shown is None:
        return settings
    return dataclasses.replace(settings, cert=str(shown.certificate), key=str(shown.key))


async def get_in(server: NatsServer, settings: ServerSettings) -> None:
    """A server that answers (that there is no such node) has let us in."""
    async with connect(dataclasses.replace(settings, servers=(server.url,))) as fleet:
        with pytest.raises(NodeUnreachable):
            await fleet.node("n1").ping(unreachable_s=0)


async def get_in_or_heard(server: NatsServer, settings: ServerSettings) -> None:
    """Again, where its last word was lost as it hung up: then nobody can say what it was."""
    for _ in range(20):
        try:
            await get_in(server, settings)
        except ServerUnreachable as error:
            assert "hung up" in error.message
        else:
            return
    raise AssertionError("it hung up twenty times without a word")


async def test_both_prove_who_they_are(start_nats_server: Start, ours: TlsFolder) -> None:
    server = start_nats_server(config(ours.issue("nats", ["127.0.0.1"]), ours.ca))
    await get_in(server, trusting(ours, ours.issue("n1")))


async def test_tls_before_the_greeting(start_nats_server: Start, ours: TlsFolder) -> None:
    server = start_nats_server(config(ours.issue("nats", ["127.0.0.1"]), first=True))
    await get_in(server, dataclasses.replace(trusting(ours), tls_first=True))


async def test_a_server_of_another_authority(
    start_nats_server: Start, ours: TlsFolder, foreign: TlsFolder
) -> None:
    server = start_nats_server(config(foreign.issue("nats", ["127.0.0.1"])))
    with pytest.raises(Untrusted, match=r"local issuer.*--tlsca or NATS_CA"):
        await get_in(server, trusting(ours))


async def test_a_server_under_another_name(start_nats_server: Start, ours: TlsFolder) -> None:
    server = start_nats_server(config(ours.issue("nats", ["nats.example.org"])))
    with pytest.raises(Untrusted, match=r"not valid for '127\.0\.0\.1'.*wharfside auth tls"):
        await get_in(server, trusting(ours))


async def test_a_server_whose_certificate_is_over(
    start_nats_server: Start, ours: TlsFolder
) -> None:
    server = start_nats_server(config(ours.issue("nats", ["127.0.0.1"], days=SOON_OVER)))
    with pytest.raises(Untrusted, match=r"has expired.*wharfside auth tls"):
        await get_in(server, trusting(ours))


async def test_a_client_s_certificate_is_no_server_s(
    start_nats_server: Start, ours: TlsFolder
) -> None:
    """A node that plays the server with the certificate that it has."""
    server = start_nats_server(config(ours.issue("n1")))
    with pytest.raises(Untrusted, match="certificate"):
        await get_in(server, trusting(ours))


async def test_a_server_that_offers_no_tls_is_told_nothing(
    start_nats_server: Start, ours: TlsFolder
) -> None:
    """Whoever stands between may have cut it out of the greeting; nats-py would go on."""
    server = start_nats_server("authorization { user: u, password: secret }\ntrace: true")
    told = dataclasses.replace(trusting(ours), user="u", password="secret")
    with pytest.raises(Untrusted, match="offers no TLS"):
        await get_in(server, told)
    by_url = ServerSettings(servers=(server.url.replace("nats:", "tls:"),))
    with pytest.raises(Untrusted, match="offers no TLS"):
        async with connect(by_url):
            pass
    assert "CONNECT" not in server.log
    await get_in(server, ServerSettings(user="u", password="secret"))
    assert "CONNECT" in server.log


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("none", "certificate required.*--tlscert"),
        ("foreign", "unknown ca.*must be made by the authority"),
        ("over", "expired.*made anew"),
    ],
)
async def test_a_client_without_a_good_certificate(
    start_nats_server: Start, ours: TlsFolder, foreign: TlsFolder, shown: str, words: str
) -> None:
    server = start_nats_server(config(ours.issue("nats", ["127.0.0.1"]), ours.ca))
    shows = {
        "none": None,
        "foreign": foreign.issue("n1"),
        "over": ours.issue("n1", days=SOON_OVER),
    }
    with pytest.raises(Refused, match=words):
        await get_in_or_heard(server, trusting(ours, shows[shown]))


@pytest.mark.parametrize("by_url", [False, True])
async def test_an_agent_tells_a_server_without_tls_nothing(
    start_nats_server: Start, ours: TlsFolder, by_url: bool
) -> None:
    server = start_nats_server("authorization { user: u, password: secret }\ntrace: true")
    url, ca = (server.url.replace("nats:", "tls:"), None) if by_url else (server.url, ours.ca)
    with capture_logs() as logs:
        async with open_bus(url, wait=False, user="u", password="secret", ca=ca):
            said = await eventually(lambda: advice(logs), "it says so")
    assert "give it a certificate" in said
    assert "CONNECT" not in server.log


async def test_an_agent_says_what_to_do_about_a_foreign_server(
    start_nats_server: Start, ours: TlsFolder, foreign: TlsFolder
) -> None:
    server = start_nats_server(config(foreign.issue("nats", ["127.0.0.1"])))
    with capture_logs() as logs:
        async with open_bus(server.url, wait=False, ca=ours.ca):
            said = await eventually(lambda: advice(logs), "it says so")
    assert "nats.ca" in said


async def test_an_authority_is_replaced_without_a_break(
    start_nats_server: Start, ours: TlsFolder, tmp_path: Path
) -> None:
    """Whoever has the file of both lives through it; who has only one of them is refused at the
    step that it missed."""
    kept = tmp_path / "kept.pem"
    kept.write_bytes(ours.ca.read_bytes())
    old_only, both = ServerSettings(ca=str(kept)), trusting(ours)
    server = start_nats_server(config(ours.issue("nats", ["127.0.0.1"])))
    settings = dataclasses.replace(both, servers=(server.url,))
    async with connect(settings) as fleet, open_bus(server.url, ca=ours.ca) as kit:
        ours.rotate_authority()
        await get_in(server, both)
        await get_in(server, old_only)
        server.reload(config(ours.issue("nats", ["127.0.0.1"])))
        await get_in(server, both)
        with pytest.raises(Untrusted):
            await get_in(server, old_only)
        ours.drop_old_authority()
        await get_in(server, both)
        with pytest.raises(NodeUnreachable):
            await fleet.node("n1").ping(unreachable_s=0)
        answer = await call(server.url, "rpc.echo", b"here", tls=both.tls())
        assert (answer, kit.connects) == (b"here", 1)
