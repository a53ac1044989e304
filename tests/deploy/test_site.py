"""An edge site: its own NATS server, a leaf of the fleet's, by the files of `wharfside auth`."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import nats
import pytest
from tests.chaos.processes import over
from tests.integration.fifos import ENDS_ON_CUE, SLEEPS, Cues
from tests.integration.told import Told
from tests.support.agent import AgentProcess, agent_process
from tests.support.eventually import eventually
from tests.support.leaks import LeakGate
from tests.support.nats_server import NatsServer
from tests.support.ports import free_ports
from tests.support.requirements import requires
from tests.support.wall import wall

from wharfside_client import ServerSettings, connect
from wharfside_client.auth.errors import BadState, NoSuchSite, NoSuchUser, WrongForm
from wharfside_client.auth.members import PROVISIONER, add, begin
from wharfside_client.auth.rotation import revoke
from wharfside_client.auth.servers import Server, Servers
from wharfside_client.auth.sites import add_site, remove_site
from wharfside_client.auth.state import Form
from wharfside_client.errors import Refused
from wharfside_client.specs import container
from wharfside_protocol.rights import Role

PARTS = ("root", "conmon", "crun", "busybox-static", "iptables")
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Edge:
    """A hub with the nodes `here` and `edge-1`; the latter comes in by the site `edge`."""

    auth: Path
    hub: Server
    site: Server

    def settings(self, user: str) -> ServerSettings:
        nkey = str(self.auth / "users" / f"{user}.nk")
        return ServerSettings(servers=(f"nats://127.0.0.1:{self.hub.port}",), nkey=nkey, peer=user)


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    client, leaf, site = free_ports(3)
    hub = Server(name="hub", host="127.0.0.1", port=client, leaf_port=leaf)
    made = Edge(tmp_path / "auth", hub, Server(name="edge", host="127.0.0.1", port=site))
    servers = Servers(servers=(hub,), store=str(tmp_path / "store"))
    begin(made.auth, lambda _: servers, None, 1)
    for name in ("here", "edge-1"):
        add(made.auth, name, Role.NODE, 1)
    add(made.auth, "ops", Role.ORCHESTRATOR, 1)
    add_site(made.auth, made.site, ["edge-1"], 1)
    return made


@pytest.fixture
def servers(edge: Edge, start_nats_server: Callable[..., NatsServer]) -> Iterator[NatsServer]:
    """Both, each with its own file; the site's comes out."""
    start_nats_server('include "../auth/conf/hub.conf"', name="hub", jetstream=False)
    site = 'include "../auth/conf/edge.site.conf"'
    yield start_nats_server(site, name="edge", jetstream=False)


@pytest.fixture
def agent(edge: Edge, rootfs: Path, leak_gate: LeakGate, tmp_path: Path) -> Iterator[AgentProcess]:
    url, folder = f"nats://127.0.0.1:{edge.site.port}", tmp_path / "agent"
    with agent_process("edge-1", url, folder, rootfs.parent, cgroup=leak_gate.cgroup) as agent:
        agent.config.write_text(
            agent.config.read_text().replace(
                "[paths]", f'nkey_seed = "{edge.auth}/users/edge-1.nk"\n[paths]'
            )
        )
        yield agent


@requires(*PARTS)
async def test_a_site_goes_on_while_its_line_is_cut_and_tells_of_it_afterwards(
    edge: Edge, servers: NatsServer, agent: AgentProcess, rootfs: Path
) -> None:
    async with connect(edge.settings(PROVISIONER)) as provisioner:
        await provisioner.setup.bootstrap()
        await provisioner.setup.add_node("edge-1")
    agent.start(until="bus-connected")
    cues = Cues(rootfs.parent / "cues")
    async with connect(edge.settings("ops")) as fleet, fleet.events() as stream:
        told = Told(agent.log_text)
        following = asyncio.create_task(told.follow(stream))
        node = fleet.node("edge-1")
        ends = await node.run(
            container("ends", ENDS_ON_CUE, rootfs=str(rootfs), mounts=[cues.mount]),
            unreachable_s=PATIENCE_S,
        )
        stays = await node.run(container("stays", SLEEPS, rootfs=str(rootfs)))
        assert ends.pid is not None
        await told.event("stays", "started")
        with wall(edge.hub.leaf_port):
            cues.go("7")
            await over(ends.pid)
            assert "exited" not in told.types("ends")

        assert (await told.exit("ends")).exit_code == 7
        views = await node.list(unreachable_s=PATIENCE_S)
        assert [(view.container, view.pid) for view in views] == [("stays", stays.pid)]
        await node.delete("stays", force=True)
        await node.delete("ends")
        following.cancel()
        await asyncio.wait({following})
    cues.close()
    assert agent.stop() == 0


async def test_a_site_is_its_nodes_and_nobody_else(edge: Edge, servers: NatsServer) -> None:
    """Whoever holds the site's server: what is another node's is out of reach."""
    await eventually(lambda: "Leafnode connection created" in servers.log, "the leaf is up")
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    seed = (edge.auth / "users" / "edge-1.nk").read_text().strip()
    client = await nats.connect(
        f"nats://127.0.0.1:{edge.site.port}",
        nkeys_seed_str=seed,
        error_cb=note,
        inbox_prefix=b"_INBOX_edge-1",
    )
    try:
        for subject in ("wharfside.v1.evt.here.c1.exited", "$KV.WHARFSIDE_NODES.here"):
            await client.publish(subject, b"forged")
        await client.subscribe("wharfside.v1.rpc.here.*")
        await eventually(lambda: len(errors) == 3, f"three refusals: {errors}")
    finally:
        await client.close()
    hub = (edge.auth / "conf" / "accounts.conf").read_text().partition("# site edge\n")[2]
    entry = hub.partition("} } }")[0]
    assert '"LEAFNODE"' in entry
    assert ".here." not in entry


async def test_the_sites_own_key_opens_no_other_door(edge: Edge, servers: NatsServer) -> None:
    as_a_client = dataclasses.replace(
        edge.settings("ops"), nkey=str(edge.auth / "users" / "edge.site.nk")
    )
    with pytest.raises(Refused):
        async with connect(as_a_client):
            pass


def test_a_site_again_has_other_nodes_and_the_same_key(edge: Edge) -> None:
    conf = edge.auth / "conf" / "edge.site.conf"
    key = (edge.auth / "users" / "edge.site.nk").read_text()
    assert conf.stat().st_mode & 0o777 == 0o600
    assert add_site(edge.auth, edge.site, ["edge-1"], 2).written == []
    change = add_site(edge.auth, edge.site, ["edge-1", "here"], 2)
    assert change.written == [str(conf), str(edge.auth / "conf" / "accounts.conf")]
    assert "# node here" in conf.read_text()
    assert (edge.auth / "users" / "edge.site.nk").read_text() == key


def test_what_is_no_site_is_refused_and_nothing_is_written(edge: Edge, tmp_path: Path) -> None:
    before = (edge.auth / "auth.json").read_bytes()
    with pytest.raises(NoSuchUser, match="there is no user nobody"):
        add_site(edge.auth, edge.site, ["nobody"], 2)
    with pytest.raises(BadState, match="without nodes"):
        add_site(edge.auth, edge.site, [], 2)
    with pytest.raises(BadState, match="ops is a orchestrator"):
        add_site(edge.auth, edge.site, ["ops"], 2)
    with pytest.raises(BadState, match="hub is a server of the fleet"):
        add_site(edge.auth, edge.hub, ["here"], 2)
    with pytest.raises(BadState, match="here is a user of the fleet"):
        add_site(edge.auth, msgspec.structs.replace(edge.site, name="here"), ["here"], 2)
    assert (edge.auth / "auth.json").read_bytes() == before
    begin(tmp_path / "jwt", lambda servers: servers, None, 1, Form.JWT)
    with pytest.raises(WrongForm, match="without --jwt"):
        add_site(tmp_path / "jwt", edge.site, [], 2)


def test_a_node_that_is_revoked_is_its_sites_no_more(edge: Edge) -> None:
    """A site with none left is not let in: to nats-server an empty list is all rights."""
    accounts = edge.auth / "conf" / "accounts.conf"
    add_site(edge.auth, edge.site, ["edge-1", "here"], 2)
    revoke(edge.auth, "here", 3)
    site = accounts.read_text().partition("# site edge")[2].partition("} } }")[0]
    assert ".edge-1." in site
    assert ".here." not in site
    revoke(edge.auth, "edge-1", 3)
    assert "LEAFNODE" not in accounts.read_text()


def test_a_site_that_is_removed_leaves_no_key_behind(edge: Edge) -> None:
    assert remove_site(edge.auth, "edge").nodes == ["edge-1"]
    assert "LEAFNODE" not in (edge.auth / "conf" / "accounts.conf").read_text()
    assert not list(edge.auth.rglob("*.site.*"))
    with pytest.raises(NoSuchSite, match="no site edge; there are: none"):
        remove_site(edge.auth, "edge")
