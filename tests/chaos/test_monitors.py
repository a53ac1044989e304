"""conmon killed: the loss is told, and the exact status still comes, or is said to be unknown."""

from __future__ import annotations

import psutil
import pytest
from tests.chaos.processes import monitor_of, over, pid_of
from tests.integration.fifos import OBEYS_TERM
from tests.integration.world import Site, World, command, kill, open_site, restart, start, stop
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_agent.watchers.pidfd import kernel_tells_exits
from wharfside_protocol.exits import ExitReason, StatusSource

needs_pidfd_info = pytest.mark.skipif(
    not kernel_tells_exits(), reason="needs Linux 6.15: the kernel keeps the status for a pidfd"
)


async def test_killed_under_the_agent_that_started_it(site: Site) -> None:
    """The agent is a subreaper: the container becomes its child, and wait(2) tells all."""
    name, cues = await site.run_with_cues()
    monitor_of(await pid_of(site, name)).kill()
    lost = await site.told.event(name, "monitor-lost")
    assert lost.data["watched_by"] == "wait"
    assert (await site.node.inspect(name)).state == "running"
    cues.go("5")
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.status_source) == (5, StatusSource.WAIT)
    assert (exit_.status_known, exit_.signal) == (True, None)
    await site.node.delete(name)


async def test_killed_and_then_killed_itself(site: Site) -> None:
    """wait(2) proves the signal."""
    name = await site.run()
    pid = await pid_of(site, name)
    monitor_of(pid).kill()
    await site.told.event(name, "monitor-lost")
    psutil.Process(pid).kill()
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.signal, exit_.reason) == (137, 9, ExitReason.SELF)


async def test_both_killed_at_once(site: Site) -> None:
    name = await site.run()
    pid = await pid_of(site, name)
    monitor, init = monitor_of(pid), psutil.Process(pid)
    monitor.kill()
    init.kill()
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.signal) == (137, 9)
    assert exit_.status_known


async def test_an_execs_monitor_killed(site: Site) -> None:
    name, cues = await site.run_with_cues()
    begun = await site.node.exec(name, command("read code </cue/go; exit $code"), wait=False)
    monitor_of(begun.pid).kill()
    lost = await site.told.event(name, "monitor-lost", process=begun.process)
    assert lost.process == begun.process
    await site.node.signal(name, "KILL", process=begun.process)
    exit_ = await site.told.exit(name, begun.process)
    assert (exit_.exit_code, exit_.signal) == (137, 9)
    cues.go("0")
    assert (await site.told.exit(name)).exit_code == 0


@needs_pidfd_info
async def test_killed_where_the_agent_is_not_the_parent(site: Site, agent: AgentProcess) -> None:
    """After a restart that is pid 1, and the kernel's own note the witness.

    One whose monitor died while no agent lived is watched like the others; of one that
    is over, too, nobody knows how it ended, and so it is told.
    """
    later, later_cues = await site.run_with_cues()
    lives, cues = await site.run_with_cues()
    dies = await site.run()
    pids = [await pid_of(site, name) for name in (later, lives, dies)]
    monitors = [monitor_of(pid) for pid in pids]
    await kill(agent)
    for monitor in monitors[1:]:
        monitor.kill()
        await over(monitor.pid)
    psutil.Process(pids[2]).kill()
    # Until pid 1 has reaped it, the kernel could still tell.
    await eventually(lambda: not psutil.pid_exists(pids[2]), "pid 1 to reap", within_s=20)
    await start(agent)

    monitors[0].kill()
    for code, (name, each) in enumerate(((later, later_cues), (lives, cues)), start=5):
        lost = await site.told.event(name, "monitor-lost")
        assert lost.data["watched_by"] == "pidfd"
        each.go(str(code))
        exit_ = await site.told.exit(name)
        assert (exit_.exit_code, exit_.status_source) == (code, StatusSource.PIDFD)
    unknown = await site.told.exit(dies)
    assert (unknown.status_known, unknown.exit_code, unknown.signal) == (False, None, None)
    assert (unknown.status_source, unknown.reason) == (StatusSource.NONE, ExitReason.MONITOR_LOST)
    assert unknown.unknown_because and not unknown.time_known
    assert (await site.node.inspect(dies)).exit == unknown
    await site.node.delete(dies)


async def test_exit_137_is_no_signal(site: Site) -> None:
    """The exit file could not tell; wait(2) can."""
    name, cues = await site.run_with_cues()
    monitor_of(await pid_of(site, name)).kill()
    await site.told.event(name, "monitor-lost")
    cues.go("137")
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.signal, exit_.status_source) == (137, None, StatusSource.WAIT)


@needs_pidfd_info
async def test_signal_and_code_after_a_restart(site: Site, agent: AgentProcess) -> None:
    """The same by the pidfd, of two whose monitors died before and after; each told once."""
    coded, cues = await site.run_with_cues()
    killed = await site.run()
    pids = {name: await pid_of(site, name) for name in (coded, killed)}
    monitor_of(pids[coded]).kill()
    await site.told.event(coded, "monitor-lost")
    await restart(agent)
    monitor_of(pids[killed]).kill()
    await site.told.event(killed, "monitor-lost")
    await restart(agent)
    await site.told.event(killed, "reattached", nth=2)
    cues.go("137")
    psutil.Process(pids[killed]).kill()
    for name, signal in ((coded, None), (killed, 9)):
        exit_ = await site.told.exit(name)
        assert (exit_.exit_code, exit_.signal) == (137, signal)
        assert exit_.status_source == StatusSource.PIDFD
        assert site.told.types(name).count("monitor-lost") == 1


async def test_stopped_where_that_is_the_policy(world: World) -> None:
    """With its own signal and grace, and the reason that it is."""
    with world.agent(world.new_name("strict")) as agent:
        agent.write_config(runtime_extra='on_monitor_lost = "stop"\n')
        await start(agent)
        async with open_site(world, agent) as site:
            await site.listed()
            cues = site.cues()
            obeys = await site.run(OBEYS_TERM, mounts=[cues.mount])
            assert await cues.ready() == "set"
            ignores = await site.run(grace_s=0.2)
            for name in (obeys, ignores):
                monitor_of(await pid_of(site, name)).kill()
            for name, code in ((obeys, 7), (ignores, 137)):
                exit_ = await site.told.exit(name)
                assert (exit_.exit_code, exit_.reason) == (code, ExitReason.MONITOR_LOST)
                told = ["created", "started", "monitor-lost", "stopping", "exited"]
                assert site.told.types(name) == told
                await site.node.delete(name)
        assert await stop(agent) == 0


async def test_stopped_also_by_a_later_life(world: World) -> None:
    """The monitor died while no agent was there."""
    with world.agent(world.new_name("strict")) as agent:
        agent.write_config(runtime_extra='on_monitor_lost = "stop"\n')
        await start(agent)
        async with open_site(world, agent) as site:
            await site.listed()
            name = await site.run(grace_s=0)
            monitor = monitor_of(await pid_of(site, name))
            await kill(agent)
            monitor.kill()
            await over(monitor.pid)
            await start(agent)
            assert (await site.told.exit(name)).reason == ExitReason.MONITOR_LOST
            await site.node.delete(name)
        assert await stop(agent) == 0


async def test_one_without_its_monitor_is_deleted_as_any_other(site: Site) -> None:
    name = await site.run()
    monitor_of(await pid_of(site, name)).kill()
    await site.told.event(name, "monitor-lost")
    await site.node.delete(name, force=True)
    await site.told.event(name, "deleted")
    told = ["created", "started", "monitor-lost", "exited", "deleted"]
    assert site.told.types(name) == told
