"""`wharfside auth` as an operator types it, and servers on the files that it writes."""

from __future__ import annotations

import json
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.bounds import BOUND_S
from tests.integration.cli_kit import Ran, typed
from tests.security.generated import running
from tests.support.eventually import eventually
from tests.support.leaks import LeakGate
from tests.support.ports import free_port, free_ports
from tests.support.requirements import requires

from wharfside_client import ServerSettings, connect
from wharfside_client.auth.members import add, begin
from wharfside_client.errors import Refused
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import CMD, EVT
from wharfside_protocol.errors import Denied
from wharfside_protocol.rights import Role

pytestmark = requires("nats-server")


@pytest.fixture
def folder(leak_gate: LeakGate, tmp_path: Path) -> Path:
    return tmp_path / "auth"


async def auth(folder: Path, *arguments: str) -> Ran:
    """One of its commands; none needs a server but by flags that it makes itself."""
    name, *rest = arguments
    place = (str(folder),) if name == "init" else ("-d", str(folder))
    return await typed("nats://127.0.0.1:1", "auth", name, *place, *rest)


async def done(folder: Path, *arguments: str) -> str:
    ran = await auth(folder, *arguments)
    assert ran.code == 0, ran
    return ran.out


def as_user(folder: Path, port: int, name: str) -> ServerSettings:
    return ServerSettings(
        servers=(f"nats://127.0.0.1:{port}",), nkey=str(folder / f"users/{name}.nk"), peer=name
    )


def step(out: str, beginning: str) -> list[str]:
    """What is to be typed next, without the program's own name."""
    (line,) = [each.strip() for each in out.splitlines() if each.strip().startswith(beginning)]
    return line.split()[1:]


async def test_one_server_from_nothing_to_its_first_users(folder: Path) -> None:
    """Every line that is told as the next one works as it stands."""
    port = free_port()
    here = ("--nats", f"nats=127.0.0.1:{port}", "--store", str(folder.parent / "store"))
    out = await done(folder, "init", *here)
    *_, conf = step(out, "nats-server")
    with running(Path(conf), port) as server:
        ran = await typed("", *step(out, "wharfside bootstrap"))
        assert ran.code == 0, ran
        out = await done(folder, "add-node", "n1", "n2")
        ran = await typed("", *step(out, "wharfside nodes add"))
        assert ran.code == 0 and ran.out.count("created") == 4, ran
        assert 'nkey_seed = "/etc/wharfside/NODE.nk"' in out
        await done(folder, "add-user", "ops", "--role", "orchestrator", "--consumer")
        with pytest.raises(Refused):
            async with connect(as_user(folder, port, "ops")):
                pass
        server.reload()
        async with connect(as_user(folder, port, "ops")) as ops:
            assert await ops.nodes() == []
            await done(folder, "add-user", "eyes", "--role", "viewer")
            server.reload()
            assert await ops.nodes() == [], "the connections of others stay"
        async with connect(as_user(folder, port, "eyes")) as eyes:
            with pytest.raises(Denied):
                await eyes.node("n1").drain()
            with pytest.raises(Denied):
                await eyes.setup.bootstrap()


async def test_a_cluster_of_three_with_replicas(folder: Path) -> None:
    """Streams at R3, mailboxes at R1; whoever has no route's password is no server of it."""
    ports = free_ports(6)
    servers = [
        flag
        for name, port, routes in zip("abc", ports[::2], ports[1::2], strict=True)
        for flag in ("--nats", f"{name}=127.0.0.1:{port}:{routes}")
    ]
    out = await done(folder, "init", *servers, "--store", f"{folder.parent}/store-{{server}}")
    await done(folder, "add-node", "n1")
    with ExitStack() as stack:
        for name, port in zip("abc", ports[::2], strict=True):
            stack.enter_context(running(folder / f"conf/{name}.conf", port))
        bootstrap = step(out, "wharfside bootstrap")
        assert bootstrap[1:3] == ["--replicas", "3"]

        async def made() -> bool:
            return (await typed("", *bootstrap)).code == 0

        await eventually(made, "streams on three servers", within_s=3 * BOUND_S)
        async with connect(as_user(folder, ports[2], "provisioner")) as fleet:
            reports = await fleet.setup.bootstrap(replicas=3)
            assert {str(each.outcome) for each in reports} == {"unchanged"}
            await fleet.setup.add_node("n1")
            js = JetStream(fleet.setup._bus)
            stream = await js.api(f"STREAM.INFO.{EVT}")
            mailbox = await js.api(f"CONSUMER.INFO.{CMD}.n1")
        assert stream["config"]["num_replicas"] == 3
        assert len(stream["cluster"]["replicas"]) == 2
        assert mailbox["config"]["num_replicas"] == 1


async def test_done_again_it_changes_nothing(folder: Path) -> None:
    await done(folder, "init")
    await done(folder, "add-node", "n1")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for again in (("init",), ("add-node", "n1")):
        assert json.loads(await done(folder, *again, "--json"))
        assert "unchanged" in await done(folder, *again)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


async def test_keys_are_for_their_owner_alone_and_never_printed(folder: Path) -> None:
    out = await done(folder, "init", "--nats", "a=10.0.0.1", "--nats", "b=10.0.0.2")
    out += await done(folder, "add-user", "ops", "--role", "orchestrator")
    out += await done(folder, "show") + await done(folder, "show", "ops", "--json")
    secrets = [*folder.glob("users/*"), *folder.glob("keys/*")]
    assert len(secrets) == 3
    for path in (*secrets, folder / "conf/a.conf"):  # with the routes' password
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in secrets:
        assert path.read_text().strip() not in out + (folder / "conf/accounts.conf").read_text()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.fixture
def filled(folder: Path) -> Path:
    begin(folder, lambda servers: servers, None, 0)
    add(folder, "n1", Role.NODE, 0)
    add(folder, "eyes", Role.VIEWER, 0)
    return folder


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("add-user", "n1", "--role", "viewer"), 1, "n1 is a node already"),
        (("add-user", "eyes", "--role", "orchestrator"), 1, "eyes is a viewer already"),
        (("add-user", "Ops", "--role", "viewer"), 2, "is no name"),
        (("add-user", "ops"), 2, "--role"),
        (("add-user", "ops", "--role", "node"), 2, "--role"),
        (("add-user", "two", "--role", "viewer", "--consumer"), 1, "only an orchestrator"),
        (("add-node", "a.b"), 2, "is no name"),
        (("init", "--prefix", "lab"), 1, "make another folder for lab"),
        (("init", "--prefix", "a b"), 1, "make another folder"),
        (("init", "--nats", "a=1.2.3.4", "--nats", "a=1.2.3.5"), 1, "a name of its own"),
        (("init", "--nats", "a=h:1:1", "--nats", "b=h:2:2"), 1, "need a store each"),
        (("init", "--nats", "a"), 2, "write NAME=HOST"),
        (("init", "--nats", "a=h:99999"), 2, "1 to 65535"),
        (("init", "--server-cert", "/c"), 1, "all three"),
        (("show", "nobody"), 1, "there are: provisioner, n1, eyes"),
    ],
)
async def test_what_cannot_be_changes_nothing_and_says_why(
    filled: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    before = {path: path.read_bytes() for path in filled.rglob("*") if path.is_file()}
    ran = await auth(filled, *arguments)
    assert (ran.code != 0, says in " ".join(ran.err.split())) == (True, True), ran
    assert ran.code == status or ran.code > 2
    assert {path: path.read_bytes() for path in filled.rglob("*") if path.is_file()} == before


async def test_a_folder_that_is_none(tmp_path: Path) -> None:
    for arguments in (("add-node", "n1"), ("show",)):
        ran = await auth(tmp_path, *arguments)
        assert "`wharfside auth init` makes a folder" in ran.err
    (tmp_path / "auth.json").write_text("{")
    ran = await auth(tmp_path, "show")
    assert "auth.json cannot be used" in ran.err


async def test_servers_that_others_reach_are_to_have_tls(tmp_path: Path) -> None:
    """Said as the first thing to do, until it is done; a server on loopback may go without."""
    for host, first in (("127.0.0.1", "nats-server"), ("hub.example.org", "wharfside auth tls")):
        folder = tmp_path / host
        out = await done(folder, "init", "--nats", f"hub={host}")
        assert out.partition("next:\n")[2].strip().startswith(first)
    words = step(out, "wharfside auth tls")
    await typed("", *words[: words.index("#")])
    assert "auth tls" not in await done(folder, "init")
