"""`wharfside auth` as an operator types it: JWTs, certificates, keys replaced and taken back."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.cli_kit import Ran, typed
from tests.security.secured import server_config
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client.auth.folder import Folder

OURS = 125
"""The exit status of what is refused on this side (docs/operations.md)."""

pytestmark = requires("nats-server")


@dataclass
class Operator:
    """Somebody at a terminal with an auth folder; the server, once there is one."""

    folder: Folder
    url: str = "nats://127.0.0.1:1"

    async def types(self, *words: str) -> Ran:
        return await typed(self.url, "auth", *words, "-d", str(self.folder.path), "-s", self.url)

    async def types_well(self, *words: str) -> str:
        ran = await self.types(*words)
        assert (ran.code, ran.err) == (0, "")
        return ran.out

    async def is_told(self, *words: str) -> str:
        """What it is told when that is refused."""
        ran = await self.types(*words)
        assert ran.code == OURS and ran.err.count("\n") == 1
        return ran.err

    async def looks(self, name: str, creds: Path | None = None) -> Ran:
        """What `wharfside nodes` says to a user."""
        path = creds or self.folder.path / "users" / f"{name}.creds"
        ca = str(self.folder.path / "tls" / "ca.pem")
        flags = ("-s", self.url, "--creds", str(path), "--tlsca", ca, "--peer", name)
        command = ("bootstrap",) if name == "provisioner" else ("nodes",)
        return await typed(self.url, *command, *flags)


async def begun(path: Path, *flags: str) -> Operator:
    operator = Operator(Folder(path))
    ran = await typed(operator.url, "auth", "init", str(path), *flags)
    assert (ran.code, ran.err) == (0, "")
    return operator


async def served(operator: Operator, start: Callable[..., NatsServer], folder: Path) -> NatsServer:
    server = await asyncio.to_thread(start, server_config(operator.folder, folder))
    operator.url = server.url
    return server


async def test_jwts_from_the_first_step_to_a_revoked_key(
    start_nats_server: Callable[..., NatsServer], tmp_path: Path
) -> None:
    operator = await begun(tmp_path / "fleet", "--jwt")
    await operator.types_well("tls", "--host", "nats.example.org")
    await operator.types_well("add-user", "ops", "--role", "orchestrator", "--expires", "90d")
    server = await served(operator, start_nats_server, tmp_path)
    assert (await operator.looks("provisioner")).code == 0
    assert (await operator.looks("ops")).code == 0

    added = await operator.types_well("add-user", "late", "--role", "viewer")
    assert "reload" not in added and "push" not in added
    assert (await operator.looks("late")).code == 0, "no server had to be told"

    old = Path(shutil.copy(operator.folder.path / "users/ops.creds", tmp_path))
    assert "stays valid" in await operator.types_well("rotate", "ops")
    assert (await operator.looks("ops", old)).code == 0
    assert "cut off" in await operator.types_well("revoke", "ops", "--old")
    refused = await operator.looks("ops", old)
    assert refused.code == OURS and "does not let us in" in refused.err
    assert (await operator.looks("ops")).code == 0

    await asyncio.to_thread(server.stop)
    told = await operator.is_told("revoke", "late")
    assert "no server knows of it yet" in told and "wharfside auth push" in told
    late = json.loads(await operator.types_well("show", "late", "--json"))
    assert late["keys"] == []
    assert "revoked" in await operator.types_well("show")
    await asyncio.to_thread(server.start)
    await operator.types_well("push")
    assert (await operator.looks("ops")).code == 0


@pytest.mark.soak  # each step is shown without the command line elsewhere
async def test_a_role_s_signing_key_and_the_authority(
    start_nats_server: Callable[..., NatsServer], tmp_path: Path
) -> None:
    operator = await begun(tmp_path / "fleet", "--jwt")
    await operator.types_well("tls")
    await operator.types_well("add-user", "eyes", "--role", "viewer")
    server = await served(operator, start_nats_server, tmp_path)
    await operator.types_well("rotate", "--role", "viewer")
    assert "revoked: A" in await operator.types_well("revoke", "--role", "viewer")
    assert "does not let us in" not in (await operator.looks("eyes")).err

    await operator.types_well("rotate", "--ca")
    assert "two authorities" in await operator.is_told("rotate", "--ca")
    await operator.types_well("tls")
    config = server_config(operator.folder, tmp_path)
    await asyncio.to_thread(server.reload, config)
    await operator.types_well("revoke", "--old-ca")
    assert "does not let us in" not in (await operator.looks("eyes")).err
    assert "one authority" in await operator.is_told("revoke", "--old-ca")


async def test_what_a_folder_of_public_keys_cannot(tmp_path: Path) -> None:
    operator = await begun(tmp_path / "fleet")
    await operator.types_well("add-node", "web1")
    assert "do not expire" in await operator.is_told("rotate", "web1", "--expires", "90d")
    assert "do not expire" in await operator.is_told("add-node", "web2", "--expires", "90d")
    assert "signing keys" in await operator.is_told("rotate", "--role", "node")
    assert "reload" in await operator.is_told("push")
    out = await operator.types_well("rotate", "web1")
    assert "nats-server --signal reload" in out and "revoke" in out
    out = await operator.types_well("revoke", "web1", "--old")
    assert "nats-server --signal reload" in out
    again = await typed(operator.url, "auth", "init", str(operator.folder.path), "--jwt")
    assert again.code == OURS and "another folder for jwt" in again.err


CANNOT = {
    ("rotate",): "give one of NAME, --role, --ca",
    ("revoke",): "give one of NAME, --role, --old-ca",
    ("rotate", "nobody"): "there is no user nobody",
    ("rotate", "--role", "king"): "no role king",
    ("revoke", "system"): "rotate system",
    ("tls", "--client", "nobody"): "there is no user nobody",
    ("rotate", "--ca"): "wharfside auth tls",
    ("add-node", "system"): "choose another name",
}


async def test_what_cannot_be_done_changes_nothing(tmp_path: Path) -> None:
    operator = await begun(tmp_path / "fleet", "--jwt")
    before = snapshot(operator.folder.path)
    for words, said in CANNOT.items():
        assert said in await operator.is_told(*words)
    assert snapshot(operator.folder.path) == before


async def test_a_host_that_is_none(tmp_path: Path) -> None:
    operator = await begun(tmp_path / "fleet")
    ran = await operator.types("tls", "--host", "a/b")
    assert ran.code == 2 and "SERVER=NAME" in ran.err


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
