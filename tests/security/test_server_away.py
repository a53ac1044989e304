"""A cluster with TLS on its own files, of which one server is down while a key is revoked."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.security.generated import running
from tests.security.secured import ISSUED
from tests.support.eventually import eventually
from tests.support.leaks import LeakGate
from tests.support.ports import free_ports
from tests.support.requirements import requires

from wharfside_client import ServerSettings, connect
from wharfside_client.auth import rotation
from wharfside_client.auth.equipping import equip_servers
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.members import add, begin
from wharfside_client.auth.push import push
from wharfside_client.auth.servers import ACCOUNTS_SYNC_S, Server, Servers
from wharfside_client.auth.state import SYSTEM, Form, load
from wharfside_client.errors import ClientError, Refused
from wharfside_protocol.rights import Role

pytestmark = [requires("nats-server"), pytest.mark.soak]

NOW = ISSUED + 1000


def make_fleet(path: Path, ports: list[int]) -> Folder:
    named = tuple(
        Server(name=name, host="127.0.0.1", port=port, route_port=route)
        for name, port, route in zip("abc", ports[::2], ports[1::2], strict=True)
    )
    servers = Servers(servers=named, store=f"{path.parent}/store-{{server}}")
    begin(path, lambda _: servers, None, ISSUED, Form.JWT)
    equip_servers(path, {}, at=None, verify=None)
    add(path, "eyes", Role.VIEWER, ISSUED)
    return Folder(path)


async def is_let_in(folder: Folder, creds: Path, port: int, name: str = "eyes") -> bool | None:
    """None: the server does not answer yet."""
    try:
        async with connect(settings(folder, creds, port, name)):
            return True
    except Refused:
        return False
    except ClientError:
        return None


def settings(folder: Folder, creds: Path, port: int, name: str) -> ServerSettings:
    ca = str(folder.path / "tls" / "ca.pem")
    return ServerSettings(servers=(f"tls://127.0.0.1:{port}",), creds=str(creds), ca=ca, peer=name)


async def test_a_server_that_was_away_hears_of_it_from_the_others(
    leak_gate: LeakGate, tmp_path: Path
) -> None:
    ports = free_ports(6)
    folder = make_fleet(tmp_path / "auth", ports)
    conf = Path(shutil.copytree(folder.path / "conf", tmp_path / "as-they-were"))
    creds = folder.path / "users" / "eyes.creds"
    with ExitStack() as stack:
        for name, port in zip("ab", ports[::2], strict=False):
            stack.enter_context(running(conf / f"{name}.conf", port))
        with running(conf / "c.conf", ports[4]):
            assert await eventually(lambda: is_let_in(folder, creds, ports[4]), "c answers")
        old = Path(shutil.copy(creds, tmp_path))
        rotation.rotate(folder.path, "eyes", NOW)
        rotation.revoke(folder.path, "eyes", NOW, old=True)
        operator = folder.operator(load(folder.path))
        assert operator is not None
        system = settings(folder, folder.path / "users" / "system.creds", ports[0], SYSTEM)
        await push(system, operator.account_jwts().values())

        async def told(port: int) -> bool:
            return await is_let_in(folder, old, port) is False

        await eventually(lambda: told(ports[2]), "the other one knows it at once")
        stack.enter_context(running(conf / "c.conf", ports[4]))
        within_s = ACCOUNTS_SYNC_S + 15
        await eventually(lambda: told(ports[4]), "c knows it", within_s=within_s, every_s=0.5)
        assert await is_let_in(folder, creds, ports[4])
