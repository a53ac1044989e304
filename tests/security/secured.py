"""A real server with the configuration that `wharfside auth` writes, and users of every role.

In the form of JWTs also with TLS, by the certificates that `wharfside auth` makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.aio.client import Client
from tests.integration.bounds import BOUND_S
from tests.integration.world import World
from tests.support.agent import AgentProcess
from tests.support.leaks import nothing_left
from tests.support.nats_server import NatsServer
from tests.support.rootfs import build_rootfs

from wharfside_client import ServerSettings, Wharfside, connect
from wharfside_client.auth.equipping import equip_servers
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.members import PROVISIONER, add, begin
from wharfside_client.auth.state import Form, State, load
from wharfside_client.auth.static import user_lines
from wharfside_protocol.rights import Role, inbox_of
from wharfside_protocol.subjects import Subjects

NODES = ("node-a", "node-b")
ISSUED = 1_700_000_000
"""Long ago: whatever a test revokes now was issued before."""

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
        return self.state.user(name).role

    @property
    def state(self) -> State:
        return load(self.auth.path)

    @property
    def ca(self) -> Path | None:
        """What is to be trusted, where the server has TLS."""
        return None if self.state.servers.tls is None else self.auth.path / "tls" / "ca.pem"

    def credentials(self, name: str) -> Path:
        return self.auth.credentials(self.state, name)

    def settings(self, name: str, credentials: Path | None = None) -> ServerSettings:
        """How the user `name` connects with our own client; by other `credentials` than its own."""
        file, ca = str(credentials or self.credentials(name)), self.ca
        jwt = file.endswith(".creds")
        return ServerSettings(
            servers=(self.server.url,),
            nkey=None if jwt else file,
            creds=file if jwt else None,
            ca=None if ca is None else str(ca),
            peer=name,
            actor=name,
            connect_timeout_s=BOUND_S,
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

        settings = self.settings(name)
        client = await nats.connect(
            self.server.url,
            nkeys_seed=settings.nkey,
            user_credentials=settings.creds,
            tls=settings.tls(),
            inbox_prefix=inbox_of(self.role(name), name),
            error_cb=refused,
            allow_reconnect=False,
            connect_timeout=BOUND_S,
        )
        try:
            yield client
        finally:
            await client.close()


def make_auth(folder: Path, form: Form) -> Folder:
    """With all of `USERS`."""
    begin(folder, lambda servers: servers, None, ISSUED, form)
    if form is Form.JWT:
        equip_servers(folder, {}, at=None, verify=None)
    for name, role in USERS.items():
        add(folder, name, role, ISSUED)
    return Folder(folder)


def server_config(auth: Folder, folder: Path) -> str:
    """What of the generated files is no matter of ports and stores."""
    text = "max_payload: 8MB\n" + auth.accounts.read_text()
    lines = auth.conf("nats").read_text().splitlines()
    text += "".join(f"{line}\n" for line in lines if line.startswith("tls "))
    if any(line.startswith("resolver ") for line in lines):
        text += f'resolver {{ type: full, dir: "{folder / "resolver"}", interval: "15s" }}\n'
    return text


@contextmanager
def secured_server(folder: Path, form: Form = Form.STATIC) -> Iterator[Secured]:
    """Bootstrapped by its provisioner, with the mailboxes of its nodes."""
    auth = make_auth(folder / "auth", form)
    with bootstrapped(folder, auth, server_config(auth, folder)) as secured:
        yield secured


@contextmanager
def one_account_server(folder: Path) -> Iterator[Secured]:
    """The same users with the same rights, all in one account: what must not be."""
    auth = make_auth(folder / "auth", Form.STATIC)
    state = load(auth.path)
    users = [line for user in state.users for line in user_lines(user, Subjects(state.prefix))]
    config = "\n".join(["authorization { users: [", *users, "] }"])
    with bootstrapped(folder, auth, config) as secured:
        yield secured


@contextmanager
def bootstrapped(folder: Path, auth: Folder, config: str) -> Iterator[Secured]:
    with NatsServer(folder / "nats", config=config) as server:
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
def secured_ground(folder: Path, form: Form = Form.STATIC) -> Iterator[tuple[Secured, World]]:
    """The server, and what agents work on; afterwards nothing is left."""
    with nothing_left(folder) as gate:
        rootfs = build_rootfs(folder / "roots" / "busybox")
        with secured_server(folder, form) as secured:
            yield secured, World(folder, secured.server, gate.cgroup, rootfs)


@contextmanager
def secured_world(folder: Path, form: Form = Form.STATIC) -> Iterator[SecuredWorld]:
    with (
        secured_ground(folder, form) as (secured, world),
        secured_agent(world, secured, NODES[0]) as a,
        secured_agent(world, secured, NODES[1]) as b,
    ):
        yield SecuredWorld(secured, world, dict(zip(NODES, (a, b), strict=True)))


@contextmanager
def secured_agent(
    world: World, secured: Secured, name: str, credentials: Path | None = None
) -> Iterator[AgentProcess]:
    """A real agent with the rights of the node `name`, connected."""
    with world.agent(name) as agent:
        agent.nats = agent_settings(secured, name, credentials)
        agent.write_config()
        agent.start(until="bus-connected")
        yield agent
        assert agent.stop() == 0


def agent_settings(secured: Secured, name: str, credentials: Path | None = None) -> str:
    """What stands in the agent's `[nats]`."""
    settings = secured.settings(name, credentials)
    given = {"nkey_seed": settings.nkey, "creds": settings.creds, "ca": settings.ca}
    return "\n".join(f'{key} = "{path}"' for key, path in given.items() if path is not None)
