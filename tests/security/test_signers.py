"""JWTs that were made with a stolen key, or badly: no more than the key's role, or nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from structlog.testing import capture_logs
from tests.integration.bounds import bounded
from tests.integration.bus_kit import open_bus
from tests.security.secured import ISSUED, Secured, make_auth, secured_server
from tests.security.stolen import forged, identity_of, signer_of
from tests.security.told import advice
from tests.support.eventually import eventually
from tests.support.requirements import need, requires

from wharfside_client import connect
from wharfside_client.auth.keys import Key, Kind
from wharfside_client.auth.state import Form, load
from wharfside_client.errors import Refused, ServerUnreachable
from wharfside_protocol.rights import Account, Role

pytestmark = requires("nats-server")

NAMES = ["node-a", "never-heard-of", "*", "a.b", ">"]
"""Under any name, also those that are wildcards where the template puts them."""

BEYOND = {
    "publish": [
        "wharfside.v1.rpc.node-b.kill", "wharfside.v1.cmd.node-b.kill", "$SYS.REQ.CLAIMS.UPDATE",
        "$JS.API.STREAM.DELETE.X", "$JS.API.STREAM.CREATE.X", "$JS.API.CONSUMER.CREATE.X",
        "$JS.API.DIRECT.GET.WHARFSIDE_EVT", "wharfside.v1.io.node-b.ops.s.up", "$SRV.PING",
    ],
    "subscription": [
        ">", "wharfside.>", "wharfside.v1.evt.>", "wharfside.v1.live.>", "wharfside.v1.res.>",
        "_INBOX.>", "_INBOX.ops.>", "$SYS.>", "$JS.>", "wharfside.v1.cmd.>", "_R_.>",
    ],
}  # fmt: skip
"""What no node may do, whatever it is called."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    need("nats-server")
    with secured_server(tmp_path_factory.mktemp("signers"), Form.JWT) as secured:
        yield secured


async def refused(secured: Secured, creds: Path, words: str = "does not let us in") -> None:
    """The server's last word may be lost as it hangs up: then ServerUnreachable says as much."""
    with pytest.raises((Refused, ServerUnreachable), match=words):
        async with connect(secured.settings("ops", creds)):
            pass


async def test_what_the_operator_s_folder_made_gets_in(secured: Secured, tmp_path: Path) -> None:
    """So does what is forged exactly like it: the refusals below are not of the forging."""
    signer = signer_of(secured, Role.ORCHESTRATOR)
    like = forged(secured, tmp_path, "ops", signer, Account.OPS)
    for creds in (None, like):
        async with connect(secured.settings("ops", creds)) as fleet:
            assert isinstance(await fleet.nodes(), list)


async def test_an_expired_user_is_told_so(secured: Secured, tmp_path: Path) -> None:
    signer = signer_of(secured, Role.ORCHESTRATOR)
    creds = forged(secured, tmp_path, "ops", signer, Account.OPS, expires=ISSUED + 1)
    await refused(secured, creds, r"expired at 2023-11-14 22:13 UTC.*wharfside auth rotate")


async def test_a_user_that_expires_is_cut_off(secured: Secured, tmp_path: Path) -> None:
    """By the server, at that moment; not only at its next connect."""
    signer = signer_of(secured, Role.VIEWER)
    connect_s = 8  # so long a connection may take on a busy machine
    end = int(time.time()) + connect_s
    creds = forged(secured, tmp_path, "eyes", signer, Account.VIEW, expires=end)
    cut = asyncio.Event()

    async def closed() -> None:
        cut.set()

    settings = secured.settings("eyes", creds)
    await nats.connect(
        secured.server.url, user_credentials=settings.creds, tls=settings.tls(),
        inbox_prefix="_INBOX.eyes", closed_cb=closed, allow_reconnect=False,
        connect_timeout=connect_s,
    )  # fmt: skip
    await bounded(cut.wait(), "the end of the connection")
    assert time.time() >= end - 1
    await refused(secured, creds, "expired at")


async def test_a_signer_of_another_account(secured: Secured, tmp_path: Path) -> None:
    """A viewer's signing key makes no orchestrators, whatever account it names."""
    signer = signer_of(secured, Role.VIEWER)
    await refused(secured, forged(secured, tmp_path, "ops", signer, Account.OPS))


async def test_a_signer_that_no_account_knows(secured: Secured, tmp_path: Path) -> None:
    await refused(secured, forged(secured, tmp_path, "ops", Key.make(Kind.ACCOUNT), Account.OPS))


async def test_an_agent_says_what_to_check(secured: Secured, tmp_path: Path) -> None:
    creds = forged(secured, tmp_path, "node-a", Key.make(Kind.ACCOUNT), Account.NODES)
    with capture_logs() as logs:
        async with open_bus(secured.server.url, wait=False, creds=creds, ca=secured.ca):
            said = await eventually(lambda: advice(logs), "it says so")
    assert "nats.creds" in said and "revoked" in said


async def test_the_account_s_own_key_signs_no_users(secured: Secured, tmp_path: Path) -> None:
    """It has no template: a user by it would have every right in the account."""
    signer = identity_of(secured, Account.OPS)
    await refused(secured, forged(secured, tmp_path, "ops", signer, Account.OPS))


async def test_a_user_that_brings_rights_of_its_own(secured: Secured, tmp_path: Path) -> None:
    signer = signer_of(secured, Role.VIEWER)
    rights_of_its_own = {"pub": {"allow": [">"]}, "sub": {"allow": [">"]}}
    creds = forged(secured, tmp_path, "eyes", signer, Account.VIEW, **rights_of_its_own)
    await refused(secured, creds)


async def test_a_user_of_another_operator(secured: Secured, tmp_path: Path) -> None:
    another = make_auth(tmp_path / "another", Form.JWT)
    await refused(secured, another.credentials(load(another.path), "ops"))


@pytest.mark.parametrize("name", NAMES)
async def test_a_stolen_signer_gives_no_more_than_its_role(
    secured: Secured, tmp_path: Path, name: str
) -> None:
    """All of BEYOND is tried, and all of it is denied."""
    creds = forged(secured, tmp_path, name, signer_of(secured, Role.NODE), Account.NODES)
    awaited = {
        f'nats: permissions violation for {what} to "{subject}"'.lower()
        for what, subjects in BEYOND.items()
        for subject in subjects
    }
    denied = asyncio.Event()

    async def hear(error: Exception) -> None:
        awaited.discard(str(error).lower())
        if not awaited:
            denied.set()

    settings = secured.settings("node-a", creds)
    client = await nats.connect(
        secured.server.url, user_credentials=settings.creds, tls=settings.tls(), error_cb=hear
    )
    try:
        for subject in BEYOND["publish"]:
            await client.publish(subject, b"")
        for subject in BEYOND["subscription"]:
            await client.subscribe(subject)
        await bounded(denied.wait(), f"all is denied, but for {awaited}")
    finally:
        await client.close()
