"""What the client adds to a real agent: patience across its death, and the fleet as one."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.bounds import bounded
from tests.integration.world import Site, kill, start
from tests.support.eventually import eventually
from tests.support.requirements import requires

from wharfside_client import NodeStatus, NodeUnreachable
from wharfside_protocol.errors import DeadlineExceeded, Invalid
from wharfside_protocol.node_commands import Pong
from wharfside_protocol.ops import OPS
from wharfside_protocol.states import ContainerState

pytestmark = requires("root", "conmon", "crun", "busybox-static", "nats-server")


async def test_waiting_outlasts_the_death_of_the_agent(
    own: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that the dead agent owed is never given; the next question gets it."""
    monkeypatch.setattr("wharfside_client.containers.WAIT_SLICE_S", 1.0)
    monkeypatch.setattr("wharfside_client.calls.FIRST_ATTEMPT_S", 1.5)
    await start(own.agent)
    name, cues = await own.run_with_cues()
    waiting = asyncio.ensure_future(own.node.wait(name))
    await asyncio.sleep(0)  # its question goes out before this one's, and is taken before it
    assert await own.node.ping()
    await kill(own.agent)
    cues.go()
    await start(own.agent)
    status = (await bounded(waiting, "the exit")).exit
    assert status is not None and status.exit_code == 0
    await own.node.delete(name)


async def test_a_command_sent_while_the_agent_is_down_is_done_once_it_is_back(own: Site) -> None:
    await start(own.agent)
    name = await own.run()
    await kill(own.agent)
    stopping = asyncio.ensure_future(own.node.stop(name, grace_s=0, unreachable_s=30))
    await start(own.agent)
    status = (await bounded(stopping, "the stop")).exit
    assert status is not None and status.exit_code == 137
    await own.node.delete(name)


async def test_waiting_no_longer_than_told(site: Site) -> None:
    name = await site.run()
    with pytest.raises(DeadlineExceeded, match="still runs") as caught:
        await bounded(site.node.wait(name, timeout_s=0.3), "the end of its patience")
    assert caught.value.stage == "running"


async def test_the_fleet_is_seen_from_the_bus_and_asked_at_once(site: Site) -> None:
    name = await site.run(labels={"tier": "front"})

    async def projected() -> bool:
        found = {(c.node, c.container): c.state for c in await site.fleet.containers()}
        return found.get((site.node.name, name)) == ContainerState.RUNNING

    async def present() -> NodeStatus | None:
        nodes = {status.node: status for status in await site.fleet.nodes()}
        return nodes.get(site.node.name)

    await eventually(projected, "its projection")
    status = await eventually(present, "its presence")
    assert status is not None and not status.silent
    assert status.info.labels == {"zone": "test"}
    answers = await site.fleet.ask(
        lambda node: node.list(labels={"tier": "front"}), [site.node.name, "away"]
    )
    assert [view.container for view in answers.values[site.node.name]] == [name]
    assert isinstance(answers.missing["away"], NodeUnreachable)


async def test_every_op_can_be_called_by_its_name(site: Site) -> None:
    assert isinstance(await site.node.call("ping"), Pong)
    details = await site.node.call("inspect", {"container": await site.run()})
    assert isinstance(details, OPS["inspect"].value)
    with pytest.raises(Invalid, match="container"):
        await site.node.call("pause", {})


async def test_more_containers_than_a_page_are_listed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted([await site.run() for _ in range(5)])
    monkeypatch.setattr("wharfside_client.nodeops.LIST_PAGE", 2)
    listed = [view.container for view in await site.node.list()]
    assert [name for name in listed if name in names] == names
