"""The agent dies while a runtime's command runs: that ends later, or never, and nobody minds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from pathlib import Path

import psutil
from tests.chaos.processes import no_process_of, nothing_left, over
from tests.integration.gates import Gates
from tests.integration.raw import new_id
from tests.integration.world import Site, command, kill, start
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_protocol.commands import DeleteArgs, ExecArgs
from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.records import Record


async def test_in_a_create(gated: Site, gated_agent: AgentProcess, gates: Gates) -> None:
    name, id_ = gated.name(), new_id()
    spec = gated.spec(name)
    with gates.hold("create") as held:
        await _dies_in(gated, gated_agent, held.ready(), "create", spec, id_)
        await start(gated_agent, **gates.environment)
        failed = await gated.told.event(name, "create-failed")
    assert failed.incarnation is not None
    await nothing_left(gated, failed.incarnation)
    answer = await gated.node.request("create", spec, command_id=id_)
    assert answer.replayed
    assert answer.error is not None
    assert answer.error.code is ErrorCode.CANCELED
    await gated.make(name)


async def test_in_an_exec(gated: Site, gated_agent: AgentProcess, gates: Gates) -> None:
    name = await gated.run()
    args = ExecArgs(container=name, process=command("sleep 1000"), exec="job")
    with gates.hold("exec") as held:
        await _dies_in(gated, gated_agent, held.ready(), "exec", args, new_id())
        await start(gated_agent, **gates.environment)
        await gated.told.event(name, "start-failed", process="job")
        bundle = (await gated.node.inspect(name)).bundle
        await no_process_of(f"{bundle}/monitors/job")
    done = await gated.node.exec(name, command("exit 3"), id="next")
    assert done.exit is not None
    assert done.exit.exit_code == 3
    processes = await gated.node.list_processes(name)
    assert [each.process for each in processes] == ["init", "next"]


async def test_in_an_exec_that_begins_all_the_same(
    gated: Site, gated_agent: AgentProcess, gates: Gates
) -> None:
    """Its monitor has nobody to report to, and yet it lives to tell how the exec ended."""
    name = await gated.run()
    args = ExecArgs(container=name, process=command("exit 5"), exec="job")
    folder = Path((await gated.node.inspect(name)).bundle)
    with gates.hold("exec") as held:
        await _dies_in(gated, gated_agent, held.ready(), "exec", args, new_id())
    exit_file = folder / "monitors" / "job" / "persist" / "exit"
    await eventually(exit_file.exists, "the exec's exit file")
    await start(gated_agent, **gates.environment)
    exit_ = await gated.told.exit(name, "job")
    assert (exit_.exit_code, exit_.status_known) == (5, True)


async def test_in_an_exec_whose_monitor_dies_too(
    gated: Site, gated_agent: AgentProcess, gates: Gates
) -> None:
    """It runs on, and so it is told: its end comes when it ends."""
    name = await gated.run()
    args = ExecArgs(container=name, process=command("exec sleep 1000"), exec="job")
    folder = Path((await gated.node.inspect(name)).bundle)
    with gates.hold("exec") as held:
        await _dies_in(gated, gated_agent, held.ready(), "exec", args, new_id())
    job = folder / "monitors" / "job"
    pid = int(await eventually(lambda: _text(job / "pid"), "the exec's pid"))
    monitor = int(await eventually(lambda: _text(job / "conmon.pid"), "its monitor's pid"))
    psutil.Process(monitor).kill()
    await over(monitor)
    await start(gated_agent, **gates.environment)
    assert (await gated.told.event(name, "exec-started", process="job")).data["pid"] == pid
    await gated.told.event(name, "monitor-lost", process="job")
    assert psutil.pid_exists(pid)
    await gated.node.signal(name, "KILL", process="job")
    exit_ = await gated.told.exit(name, "job")
    assert (exit_.exit_code, exit_.signal, exit_.status_known) == (137, 9, True)


def _text(path: Path) -> str:
    """Nothing, while it is not there."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return ""


async def test_in_a_delete(gated: Site, gated_agent: AgentProcess, gates: Gates) -> None:
    name, id_ = await gated.run(), new_id()
    args = DeleteArgs(container=name, force=True)
    with gates.hold("delete") as held:
        await _dies_in(gated, gated_agent, held.ready(), "delete", args, id_)
    await start(gated_agent, **gates.environment)
    deleted = await gated.told.event(name, "deleted")
    assert deleted.incarnation is not None
    await nothing_left(gated, deleted.incarnation)
    answer = await gated.node.request("delete", args, command_id=id_)
    assert (answer.ok, answer.replayed) == (True, True)


async def _dies_in(
    site: Site, agent: AgentProcess, held: Awaitable[str], op: str, args: Record, id_: str
) -> None:
    asked = asyncio.create_task(site.node.request(op, args, command_id=id_, timeout_s=60))
    await held
    await kill(agent)
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
