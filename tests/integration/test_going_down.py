"""SIGTERM: whoever only waits is answered at once; the next life goes on; no container notices."""

from __future__ import annotations

import asyncio

import nats
import psutil
import pytest
from tests.integration.bounds import bounded
from tests.integration.fifos import ENDS_ON_CUE
from tests.integration.world import Site, World, command, start, stop

from wharfside_client.calls import new_command_id
from wharfside_protocol.codec import decode, encode
from wharfside_protocol.commands import StopArgs, WaitArgs
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.errors import Canceled
from wharfside_protocol.subjects import Subjects


async def test_a_wait_is_told_to_ask_the_next_life(own: Site) -> None:
    await start(own.agent)
    name, cues = await own.run_with_cues(ENDS_ON_CUE)
    args = WaitArgs(container=name, timeout_s=60)
    asked = asyncio.create_task(own.node.call("wait", args, timeout_s=50, unreachable_s=30))
    patient = asyncio.create_task(own.node.wait(name))
    await bounded(own.node.ping(), "a ping behind them")
    assert await stop(own.agent) == 0  # it is given less than these wait
    await start(own.agent)
    cues.go("6")
    for each in (asked, patient):
        value = await bounded(each, "a wait over two lives")
        assert value.exit is not None  # type: ignore[attr-defined]
        assert value.exit.exit_code == 6  # type: ignore[attr-defined]
    await own.told.exit(name)
    assert own.told.types(name) == ["created", "started", "reattached", "exited"]
    await own.clear()
    assert await stop(own.agent) == 0


async def test_a_stop_goes_on_in_the_next_life(own: Site) -> None:
    """Its grace is longer than anybody waits for an agent to end."""
    await start(own.agent)
    name = await own.run()
    init = psutil.Process((await own.node.inspect(name)).pid)
    id_ = new_command_id()
    args = StopArgs(container=name, grace_s=8)
    asked = asyncio.create_task(
        own.node.request("stop", args, command_id=id_, timeout_s=50, unreachable_s=30)
    )
    await own.told.event(name, "stopping")
    assert await stop(own.agent) == 0
    assert init.is_running(), "the grace is not over"
    await start(own.agent)
    result = await bounded(asked, "a stop over two lives", 40)
    assert result.ok
    assert result.id == id_
    await own.told.exit(name)
    assert own.told.types(name) == ["created", "started", "stopping", "reattached", "exited"]
    await own.clear()
    assert await stop(own.agent) == 0


async def test_an_exec_that_waits_holds_nothing_up(own: Site) -> None:
    await start(own.agent)
    name = await own.run()
    asked = asyncio.create_task(
        own.node.exec(name, command("sleep 1000"), timeout_s=50, unreachable_s=30)
    )
    await own.told.until(lambda e: e.type == "exec-started", "the exec runs")
    assert await stop(own.agent) == 0
    await start(own.agent)
    with pytest.raises(Canceled):
        await bounded(asked, "the exec's answer")
    processes = await own.node.list_processes(name)
    assert [each.state for each in processes] == ["running", "running"]
    await own.node.delete(name, force=True)
    assert await stop(own.agent) == 0


async def test_the_wire_says_busy(own: Site, world: World) -> None:
    """What those read who do not repeat by themselves."""
    await start(own.agent)
    name = await own.run()
    sent = Command(id=new_command_id(), op="wait", node=own.agent.name, args={"container": name})
    client = await nats.connect(world.server.url)
    subject = Subjects().rpc(own.agent.name, "wait")
    asked = asyncio.create_task(client.request(subject, encode(sent), timeout=20))
    await client.flush()
    await bounded(own.node.ping(), "a ping behind it")
    assert await stop(own.agent) == 0
    result = decode((await asked).data, Result)
    await client.close()
    assert result.error is not None
    assert result.error.code == "busy"
    assert "next life" in result.error.message
    await start(own.agent)
    await own.node.delete(name, force=True)
    assert await stop(own.agent) == 0
