"""kill -9 and SIGTERM of the agent: what lives lives on, what ends meanwhile is told once."""

from __future__ import annotations

import time

import psutil
from tests.chaos.processes import monitor_of, over, pid_of
from tests.integration.fifos import ENDS_ON_CUE, OBEYS_TERM, shell
from tests.integration.test_oom import EATS, LIMIT
from tests.integration.world import Site, command, kill, restart, start, stop
from tests.support.agent import AgentProcess

from wharfside_client import process
from wharfside_protocol.exits import ExitReason, StatusSource
from wharfside_protocol.specs import Limits
from wharfside_protocol.times import from_timestamp


async def test_what_lives_is_reattached_and_goes_on(site: Site, agent: AgentProcess) -> None:
    node = site.node
    running, cues = await site.run_with_cues()
    exec_cues = site.cues()
    with_exec = await site.run(mounts=[exec_cues.mount])
    await node.exec(with_exec, command("read code </cue/go; exit $code"), id="job", wait=False)
    limited = await site.run()
    sleeps = process(["/bin/sleep", "1000"])
    await node.exec(limited, sleeps, id="job", wait=False, limit_s=0.5)
    paused, stopped, created = await site.run(), await site.run(), site.name()
    await node.pause(paused)
    await node.stop(stopped, grace_s=0)
    await node.create(site.spec(created, shell("exit 9")))
    before = {view.container: view for view in await node.list(all=True)}
    await restart(agent)
    assert {view.container: view for view in await node.list(all=True)} == before
    for name in (running, with_exec, paused, created):
        assert (await site.told.event(name, "reattached")).data["pid"] == before[name].pid
    assert "reattached" not in site.told.types(stopped)

    cues.go("5")
    assert (await site.told.exit(running)).exit_code == 5
    exec_cues.go("6")
    assert (await site.told.exit(with_exec, "job")).exit_code == 6
    assert (await site.told.exit(limited, "job")).timed_out
    waited = await node.wait(with_exec, process="job", output=True)
    assert waited.exit is not None
    assert (await node.resume(paused)).state == "running"
    ended = (await node.stop(paused, grace_s=0)).exit
    assert ended is not None
    assert ended.reason is ExitReason.STOP
    assert (await node.wait(stopped)).exit == before[stopped].exit
    await node.start(created)
    assert (await site.told.exit(created)).exit_code == 9
    done = await node.exec(with_exec, command("exit 3"))
    assert done.exit is not None
    assert done.exit.exit_code == 3


async def test_what_ends_while_no_agent_lives_is_told_once(site: Site, agent: AgentProcess) -> None:
    node = site.node
    coded, cues = await site.run_with_cues(ENDS_ON_CUE)
    exec_cues = site.cues()
    with_exec = await site.run(mounts=[exec_cues.mount])
    await node.exec(with_exec, command("read code </cue/go; exit $code"), id="job", wait=False)
    signaled = await site.run()
    oom_cues = site.cues()
    oom = await site.run(
        shell(f"read go </cue/go; exec {EATS}"),
        mounts=[oom_cues.mount],
        limits=Limits(memory_bytes=LIMIT, swap_bytes=0),
    )
    removed, removed_cues = site.name(), site.cues()
    made = await site.make(removed, ENDS_ON_CUE, mounts=[removed_cues.mount], auto_remove=True)
    listed = {each.process: each.pid for each in await node.list_processes(with_exec)}
    pids = [await pid_of(site, name) for name in (coded, signaled, oom, removed)] + [listed["job"]]
    monitors = [monitor_of(pid) for pid in pids]

    await kill(agent)
    begun = time.time_ns()
    for each, word in ((cues, "5"), (exec_cues, "6"), (oom_cues, "go"), (removed_cues, "7")):
        each.go(word)
    psutil.Process(pids[1]).kill()
    for monitor in monitors:
        await over(monitor.pid)
    done = time.time_ns()
    await start(agent)

    for name, process_, code in (
        (coded, "init", 5),
        (with_exec, "job", 6),
        (signaled, "init", 137),
        (oom, "init", 137),
        (removed, "init", 7),
    ):
        exit_ = await site.told.exit(name, process_)
        assert (exit_.exit_code, exit_.status_source) == (code, StatusSource.EXIT_FILE), name
        assert exit_.signal is None, "a file cannot prove it"
        assert begun - 10**7 <= from_timestamp(exit_.exited_at) <= done, name
        event = await site.told.event(name, "exited", process=process_)
        assert event.occurred_at == exit_.exited_at
        assert from_timestamp(event.observed_at) > done
    killed = await site.told.exit(oom)
    assert (killed.oom_killed, killed.reason) == (True, ExitReason.OOM)
    assert site.told.types(oom)[-2:] == ["oom", "exited"]
    await site.told.event(removed, "deleted")
    told = await node.wait(removed, incarnation=made.incarnation)
    assert told.exit is not None
    assert told.exit.exit_code == 7


async def test_sigterm_leaves_all_containers_running(site: Site, agent: AgentProcess) -> None:
    name, cues = await site.run_with_cues(OBEYS_TERM)
    await cues.ready()
    await site.node.exec(name, process(["/bin/sleep", "1000"]), id="job", wait=False)
    assert await stop(agent) == 0
    await site.told.event(None, "down")
    (status,) = [each for each in await site.fleet.nodes() if each.node == agent.name]
    assert status.info.state == "down"
    await start(agent)
    await site.told.event(None, "up")
    await site.told.event(name, "reattached")
    assert (await site.node.inspect(name)).state == "running"
    assert len(await site.node.list_processes(name)) == 2
    stopped = await site.node.stop(name, grace_s=15)
    assert stopped.exit is not None
    assert stopped.exit.exit_code == 7
