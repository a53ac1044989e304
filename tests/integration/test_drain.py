"""drain: no new work, what runs is stopped or waited for; it lasts until undrain."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from contextlib import suppress
from functools import partial

import pytest
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.cli_kit import COMMAND, environment
from tests.integration.cli_kit import start as start_cli
from tests.integration.fifos import OBEYS_TERM
from tests.integration.world import Site, command, kill, start, stop
from tests.support.eventually import eventually

from wharfside_client.calls import new_command_id
from wharfside_protocol.errors import Canceled, Draining, Invalid, NotFound
from wharfside_protocol.node_commands import DrainArgs, DrainPolicy, Progress
from wharfside_protocol.specs import Restart


async def state_of(site: Site) -> str:
    return (await site.node.info()).state


async def listed_as(site: Site, state: str) -> None:
    async def found() -> bool:
        nodes = await site.fleet.nodes()
        return any(n.node == site.agent.name and n.info.state == state for n in nodes)

    await eventually(found, f"{site.agent.name} is {state}")


async def test_stops_what_runs_and_takes_nothing_new(own: Site) -> None:
    await start(own.agent)
    obedient, cues = await own.run_with_cues(OBEYS_TERM)
    assert await cues.ready() == "set"
    stubborn = await own.run(grace_s=0.5)
    paused = await own.run(grace_s=0.5)
    await own.node.pause(paused)
    created, stopped = own.name(), await own.run()
    await own.node.create(own.spec(created))
    await own.node.stop(stopped, grace_s=0)
    told: list[Progress] = []
    id_ = new_command_id()
    async with own.fleet.progress(own.agent.name, id_, told.append):
        value = await own.node.drain(command_id=id_, within_s=30)
    assert (value.drained, value.total, value.left_count, value.left) == (True, 3, 0, [])
    assert [told[0].left, told[-1].left] == [3, 0]
    assert {each.command for each in told} == {id_}
    assert (await own.told.exit(obedient)).exit_code == 7
    assert (await own.told.exit(stubborn)).exit_code == 137
    for name in (obedient, stubborn, paused):
        assert (await own.told.exit(name)).reason == "stop"
        assert (await own.told.event(name, "stopping")).cause == id_
    event = await own.told.event(None, "draining")
    assert (event.cause, event.data) == (id_, {"policy": "stop"})
    await listed_as(own, "draining")

    refused_id = new_command_id()
    for refused in (
        own.node.create(own.spec("new"), command_id=refused_id),
        own.node.run(own.spec("new")),
        own.node.start(created),
        own.node.start(stopped),
        own.node.exec(created, command("true")),
    ):
        with pytest.raises(Draining, match="undrain"):
            await refused
    assert (await own.node.inspect(created)).state == "created"
    assert (await own.node.drain(within_s=5)).drained

    await own.node.undrain()
    up = await own.told.until(
        lambda e: e.type == "up" and e.cause is not None, "an up after the undrain"
    )
    assert up.container is None
    await listed_as(own, "up")
    assert not (await own.node.undrain()).was_draining
    # Nothing was done under the refused id, so it is free.
    await own.node.create(own.spec("new"), command_id=refused_id)
    await own.clear()
    assert await stop(own.agent) == 0


async def test_a_letter_for_new_work_is_refused_for_good(own: Site) -> None:
    """Whoever sent it may place it elsewhere; other letters are done as ever."""
    await start(own.agent)
    await own.fleet.setup.add_node(own.agent.name)
    await own.node.drain(within_s=5)
    name, id_ = own.name(), new_command_id()
    async with own.node.posted(id_) as posted:
        with pytest.raises(Draining, match="undrain"):
            await own.node.run(own.spec(name), command_id=id_, durable=True, timeout_s=BOUND_S)
        assert not (await posted.result(BOUND_S)).ok
    await own.node.undrain()
    with pytest.raises(Draining):  # the id has its result, by either way
        await own.node.run(own.spec(name), command_id=id_)
    assert await own.node.list(all=True) == []
    assert await stop(own.agent) == 0


async def test_ends_restart_policies(own: Site) -> None:
    """One that runs, and one that waits for its next run: neither comes back afterwards."""
    await start(own.agent)
    always = Restart(policy="always")
    runs = await own.run(grace_s=0.2, restart=always)
    fails = await own.run(("/bin/false",), restart=always)
    await own.told.event(fails, "restarting", nth=5)
    assert (await own.node.drain(within_s=30)).drained
    for name in (runs, fails):
        await own.told.event(name, "not-restarting")
    states = {view.container: view.state for view in await own.node.list(all=True)}
    assert states == {runs: "stopped", fails: "stopped"}
    await own.clear()
    assert await stop(own.agent) == 0


async def test_waits_and_tells_what_is_left(own: Site) -> None:
    await start(own.agent)
    ends, cues = await own.run_with_cues()
    stays = await own.run()
    value = await own.node.drain(DrainPolicy.WAIT, within_s=0.2)
    assert (value.drained, value.left) == (False, sorted([ends, stays]))
    assert await state_of(own) == "draining"
    id_ = new_command_id()
    waiting = asyncio.create_task(own.node.drain(DrainPolicy.WAIT, within_s=60, command_id=id_))
    cues.go("3")
    assert (await own.told.exit(ends)).exit_code == 3
    await eventually(lambda: _runs(own, id_), "the drain runs")
    assert (await own.node.cancel(id_)).canceled
    with pytest.raises(Canceled):
        await bounded(waiting, "the canceled drain")
    assert await state_of(own) == "draining"
    assert (await own.node.inspect(stays)).state == "running"

    ids = [new_command_id() for _ in range(2)]
    both = [
        asyncio.create_task(own.node.drain(DrainPolicy.WAIT, within_s=60, command_id=each))
        for each in ids
    ]
    for each in ids:
        await eventually(partial(_runs, own, each), "the drain runs")
    await own.node.undrain()
    for each in both:
        with pytest.raises(Canceled):
            await bounded(each, "the drain that was undone")
    await own.clear()
    assert await stop(own.agent) == 0


async def _runs(site: Site, command_id: str) -> bool:
    with suppress(NotFound):  # it may not have come yet
        return (await site.node.result(command_id)).state == "running"
    return False


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_a_drain_outlives_the_agent(own: Site, how: str) -> None:
    """The next life goes on with it, under the command that asked for it."""
    await start(own.agent)
    name, cues = await own.run_with_cues()
    id_ = new_command_id()
    waiting = asyncio.create_task(
        own.node.drain(DrainPolicy.WAIT, within_s=60, command_id=id_, unreachable_s=60)
    )
    await own.told.event(None, "draining")
    await (kill(own.agent) if how == "killed" else stop(own.agent))
    await start(own.agent)
    await own.told.event(None, "draining", nth=2)
    assert await state_of(own) == "draining"
    with pytest.raises(Draining):
        await own.run()
    cues.go("4")
    value = await bounded(waiting, "the drain over two lives")
    assert value.drained
    assert (await own.told.exit(name)).exit_code == 4
    asked = DrainArgs(policy=DrainPolicy.WAIT, timeout_s=60)
    again = await own.node.request("drain", asked, command_id=id_)
    assert again.replayed
    await own.node.undrain()
    await kill(own.agent)
    await start(own.agent)
    assert await state_of(own) == "up"
    await own.clear()
    assert await stop(own.agent) == 0


async def test_killed_while_it_stops_them(own: Site) -> None:
    await start(own.agent)
    names = [await own.run(grace_s=2) for _ in range(3)]
    id_ = new_command_id()
    waiting = asyncio.create_task(own.node.drain(within_s=60, command_id=id_, unreachable_s=60))
    for name in names:
        await own.told.event(name, "stopping")
    await kill(own.agent)
    await start(own.agent)
    value = await bounded(waiting, "the drain over two lives")
    assert value.drained
    for name in names:
        assert (await own.told.exit(name)).reason == "stop"
        kinds = [kind for kind in own.told.types(name) if kind != "reattached"]
        assert kinds == ["created", "started", "stopping", "exited"]
    await own.clear()
    assert await stop(own.agent) == 0


@pytest.mark.parametrize("args", [{"policy": "maybe"}, {"timeout_s": -1}, {"timeout_s": 1e9}])
async def test_bad_arguments_change_nothing(site: Site, args: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        await site.node.call("drain", args)
    assert await state_of(site) == "up"


async def cli(site: Site, *args: str) -> subprocess.CompletedProcess[str]:
    def run() -> subprocess.CompletedProcess[str]:
        line = [*COMMAND, *args]
        env = environment(site.world.server.url)
        return subprocess.run(line, capture_output=True, text=True, timeout=60, env=env)

    return await asyncio.to_thread(run)


async def test_ctrl_c_leaves_a_drain_going_on_and_says_so(own: Site) -> None:
    await start(own.agent)
    name = await own.run()
    process = await start_cli(own.world.server.url, "drain", own.agent.name, "--wait")
    await listed_as(own, "draining")
    assert process.stderr is not None
    assert b"1 of 1 left" in await bounded(process.stderr.readline(), "the first progress")
    process.send_signal(signal.SIGINT)
    _, err = await bounded(process.communicate(), "its end")
    assert process.returncode == 130
    assert f"`wharfside undrain {own.agent.name}` ends it" in err.decode()
    assert await state_of(own) == "draining"
    await own.node.undrain()
    await own.node.delete(name, force=True)
    await own.clear()
    assert await stop(own.agent) == 0


async def test_a_drain_of_no_node_says_so(site: Site) -> None:
    ran = await cli(site, "drain", "nobody")
    assert ran.returncode == 125
    assert "no agent of node nobody" in ran.stderr


async def test_from_the_terminal(own: Site) -> None:
    await start(own.agent)
    node, name = own.agent.name, await own.run(grace_s=0.3)
    left = await cli(own, "drain", node, "--wait", "--timeout", "0.3")
    assert (left.returncode, left.stdout) == (1, f"{node}/{name}\n")
    assert "1 of 1 left" in left.stderr
    assert "stays draining" in left.stderr
    done = await cli(own, "drain", node, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["drained"] is True
    await listed_as(own, "draining")
    assert "draining" in (await cli(own, "nodes")).stdout
    info = (await cli(own, "info", node)).stdout
    assert f"127.0.0.1:{own.world.server.port}, 0 reconnects" in info
    assert (await cli(own, "undrain", node)).stdout == f"{node} is up\n"
    assert (await cli(own, "undrain", node)).stdout == f"{node} was not draining\n"
    await own.clear()
    assert await stop(own.agent) == 0
