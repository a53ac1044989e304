"""Rules for those alone who prove who they are: by a signature, whatever the command claims."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.world import Site, World, command, kill, open_site, start
from tests.support.agent import AgentProcess

from wharfside_client import Node, ServerSettings, connect
from wharfside_client.auth.keys import Key, Kind
from wharfside_protocol.errors import Denied
from wharfside_protocol.specs import Io, Limits, ProcessSpec, Restart, User

pytestmark = pytest.mark.requires("root", "crun", "conmon", "busybox-static")

POLICY = """
[policy]
ops = ["reads"]

[policy.roles.deployer]
ops = ["all"]
containers = 2
limits_at_most = {{ pids = 100 }}

[policy.roles.visitor]
ops = ["reads", "exec"]
root = false
ship_logs = false

[policy.actors.ann]
ops = ["reads", "stop"]

[trust]
keys = [{keys}]
"""

WHO = {"ann": "deployer", "ci": "deployer", "guest": "visitor"}
"""ann's own table comes before that of her role."""


@pytest.fixture(scope="module")
def seeds(world: World) -> dict[str, tuple[Path, str]]:
    """Of each actor the file of a seed, and its public key."""
    made = {}
    for name in WHO:
        path = world.folder / f"{name}.nk"
        made[name] = (path, Key.make(Kind.USER).save(path).public)
    return made


@pytest.fixture(scope="module")
def roles_agent(world: World, seeds: dict[str, tuple[Path, str]]) -> Iterator[AgentProcess]:
    keys = ", ".join(
        f'{{ key = "{seeds[name][1]}", actor = "{name}", role = "{role}" }}'
        for name, role in WHO.items()
    )
    with world.running("roles", POLICY.format(keys=keys)) as agent:
        yield agent


@pytest.fixture
async def ci(
    world: World, roles_agent: AgentProcess, seeds: dict[str, tuple[Path, str]]
) -> AsyncIterator[Site]:
    """The node as `ci` sees it, and clears it."""
    async with open_site(world, roles_agent) as site, as_actor(world, "ci", seeds) as node:
        site.node = node
        yield site
        await site.clear()


@asynccontextmanager
async def as_actor(
    world: World, name: str, seeds: dict[str, tuple[Path, str]]
) -> AsyncIterator[Node]:
    settings = ServerSettings(servers=(world.server.url,), sign_key=str(seeds[name][0]))
    async with connect(settings) as fleet:
        yield fleet.node("roles")


async def test_who_proves_nothing_may_look_and_a_claim_changes_nothing(
    world: World, ci: Site
) -> None:
    async with connect(ServerSettings(servers=(world.server.url,), actor="ci")) as fleet:
        node = fleet.node("roles")
        assert await node.list() == []
        with pytest.raises(Denied) as denied:
            await node.run(ci.spec(ci.name()))
        assert denied.value.details["rule"] == "policy.ops"
        told = await node.policy_check("run", ci.spec(ci.name()))
        assert (told.allowed, told.rules) == (False, "policy")


async def test_a_role_has_its_rules_and_an_actor_their_own_before_them(
    world: World, ci: Site, seeds: dict[str, tuple[Path, str]]
) -> None:
    name = ci.name()
    async with as_actor(world, "ann", seeds) as ann:
        with pytest.raises(Denied) as denied:
            await ann.run(ci.spec(name, limits=Limits(pids=50)))
        assert denied.value.details["rule"] == "policy.actors.ann.ops"
        await ci.run(name=name, limits=Limits(pids=50))
        await ann.stop(name, grace_s=0)


async def test_so_many_containers_at_once_of_one_role(ci: Site) -> None:
    for _ in range(2):
        await ci.run(limits=Limits(pids=50))
    told = await ci.node.policy_check("run", ci.spec(ci.name(), limits=Limits(pids=50)))
    with pytest.raises(Denied) as denied:
        await ci.run(limits=Limits(pids=50))
    assert denied.value.details["rule"] == "policy.roles.deployer.containers"
    assert told.error == denied.value.to_body()


async def test_an_exec_is_judged_by_the_rules_of_who_asks_for_it(
    world: World, ci: Site, seeds: dict[str, tuple[Path, str]]
) -> None:
    """A container of others lends nobody more than they may have."""
    name = await ci.run(limits=Limits(pids=50))
    async with as_actor(world, "guest", seeds) as guest:
        asked = {"container": name, "process": {"args": ["true"]}}
        told = await guest.policy_check("exec", asked)
        with pytest.raises(Denied) as denied:
            await guest.exec(name, command("true"))
        assert told.error == denied.value.to_body()
        assert denied.value.details["rule"] == "policy.roles.visitor.root"
        plain = ProcessSpec(args=["id", "-u"], user=User(uid=7, gid=7))
        done = await guest.exec(name, plain)
        assert done.output is not None and done.output.stdout == b"7\n"
        with pytest.raises(Denied) as denied:
            await guest.exec(name, plain, io=Io(ship=True))
        assert denied.value.details["rule"] == "policy.roles.visitor.ship_logs"
    assert len(await ci.node.list_processes(name)) == 2


async def test_a_policy_that_grew_stricter_judges_the_next_run(own: Site) -> None:
    """By the rules that let it in, as they are now; what runs already is left alone."""
    own.agent.write_config("\n[policy]\n")
    await start(own.agent)
    try:
        name = await own.run(limits=Limits(pids=50), restart=Restart(policy="on-failure"))
        await kill(own.agent)
        own.agent.write_config("\n[policy]\nlimits_at_most = { pids = 10 }\n")
        await start(own.agent)
        assert (await own.node.inspect(name)).state == "running"
        await own.node.stop(name, grace_s=0)
        with pytest.raises(Denied) as denied:
            await own.node.start(name)
        assert denied.value.details["rule"] == "policy.limits_at_most"
        after = await own.node.inspect(name)
        assert (after.state, after.run) == ("stopped", 1)
    finally:
        await own.clear()
