"""A real server with the configuration that `wharfside auth` writes, and users of every role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.aio.client import Client
from tests.integration.world import World
from tests.support.agent import AgentProcess
from tests.support.leaks import LeakGate
from tests.support.nats_server import NatsServer
from tests.support.rootfs import build_rootfs

from wharfside_client import ServerSettings, Wharfside, connect
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.members import PROVISIONER, add, begin
from wharfside_client.auth.state import load
from wharfside_client.auth.static import user_lines
from wharfside_protocol.rights import Role, inbox_of
from wharfside_protocol.subjects import Subjects

NODES = ("node-a", "node-b")
ROGUE = "rogue"
"""A node whose key somebody has who runs no agent with it."""

USERS = {
    PROVISIONER: Role.PROVISIONER,
    **dict.fromkeys((*NODES, ROGUE), Role.NODE),
    "ops": Role.ORCHESTRATOR,
    "other": Role.ORCHESTRATOR,
    "eyes": Role.VIEWER,
}
"""Two of those whose rights must keep them apart, by name."""


@dataclass(frozen=True)
class Secured:
    """`auth` is the folder of keys; `denied` is told what a raw client was refused."""

    auth: Folder
    server: NatsServer
    denied: list[str] = field(default_factory=list)

    def role(self, name: str) -> Role:
        return Role(load(self.auth.path).user(name).role)

    def settings(self, name: str) -> ServerSettings:
        """How the user `name` connects with our own client."""
        return ServerSettings(
            servers=(self.server.url,), nkey=str(self.auth.seed(name)), peer=name, actor=name
        )

    @asynccontextmanager
    async def fleet(self, name: str) -> AsyncIterator[Wharfside]:
        async with connect(self.settings(name)) as fleet:
            yield fleet

    @asynccontextmanager
    async def raw(self, name: str) -> AsyncIterator[Client]:
        """A client with the user's key that does whatever it is told to."""

        async def refused(error: Exception) -> None:
            self.denied.append(str(error))

        client = await nats.connect(
            self.server.url,
            nkeys_seed=str(self.auth.seed(name)),
            inbox_prefix=inbox_of(self.role(name), name),
            error_cb=refused,
            allow_reconnect=False,
        )
        try:
            yield client
        finally:
            await client.close()


def make_auth(folder: Path) -> Folder:
    """With all of `USERS`."""
    begin(folder, lambda servers: servers, None, 0)
    for name, role in USERS.items():
        add(folder, name, role, 0)
    return Folder(folder)


def all_in_one(auth: Folder) -> str:
    """The same users with the same rights, all in one account: what must not be."""
    state = load(auth.path)
    users = [line for user in state.users for line in user_lines(user, Subjects(state.prefix))]
    return "\n".join(["authorization { users: [", *users, "] }"])


@contextmanager
def secured_server(
    folder: Path, config: Callable[[Folder], str] = lambda auth: auth.accounts.read_text()
) -> Iterator[Secured]:
    """Bootstrapped by its provisioner, with the mailboxes of its nodes."""
    auth = make_auth(folder / "auth")
    with NatsServer(folder / "nats", config=f"max_payload: 8MB\n{config(auth)}") as server:
        secured = Secured(auth, server)
        asyncio.run(set_up(secured))
        yield secured


async def set_up(secured: Secured) -> None:
    async with secured.fleet(PROVISIONER) as fleet:
        await fleet.setup.bootstrap()
        for node in (*NODES, ROGUE):
            await fleet.setup.add_node(node)
            await fleet.setup.add_carriage(node)
        for name, role in USERS.items():
            if role is Role.ORCHESTRATOR:
                await fleet.setup.add_orchestrator(name)


@dataclass(frozen=True)
class SecuredWorld:
    """The server, and two real agents with no rights but their own."""

    secured: Secured
    world: World
    agents: dict[str, AgentProcess]


@contextmanager
def secured_world(folder: Path) -> Iterator[SecuredWorld]:
    gate = LeakGate(folder)
    try:
        rootfs = build_rootfs(folder / "roots" / "busybox")
        with secured_server(folder) as secured:
            world = World(folder, secured.server, gate.cgroup, rootfs)
            with _agent(world, secured, NODES[0]) as a, _agent(world, secured, NODES[1]) as b:
                yield SecuredWorld(secured, world, dict(zip(NODES, (a, b), strict=True)))
    finally:
        leaks = gate.close()
    assert not leaks, "\n".join(leaks.lines())


@contextmanager
def _agent(world: World, secured: Secured, name: str) -> Iterator[AgentProcess]:
    with world.agent(name) as agent:
        agent.nats = f'nkey_seed = "{secured.auth.seed(name)}"'
        agent.write_config()
        agent.start(until="bus-connected")
        yield agent
        assert agent.stop() == 0
