"""A stopped container that is started again: a new run of the same incarnation."""

from __future__ import annotations

import pytest
from tests.integration.fifos import ENDS_ON_CUE, shell
from tests.integration.world import Site, command

from wharfside_protocol.errors import NotFound, RuntimeFailed, WrongState
from wharfside_protocol.states import ContainerState


async def test_start_of_a_stopped_one_is_its_next_run(site: Site) -> None:
    """Same incarnation, a process and cgroup figures of its own, each run's exit told once."""
    name, cues = await site.run_with_cues(ENDS_ON_CUE)
    node = site.node
    first = await node.inspect(name)
    cues.go("3")
    assert (await site.told.exit(name)).exit_code == 3
    started = await node.start(name)
    assert (started.incarnation, started.run) == (first.incarnation, 2)
    second = await node.inspect(name)
    assert second.state is ContainerState.RUNNING
    assert second.pid not in (None, first.pid)
    assert second.bundle != first.bundle
    assert (second.exit, second.restarts) == (None, 0)
    assert second.revision > first.revision
    cues.go("4")
    assert (await site.told.exit(name, nth=2)).exit_code == 4
    assert site.told.types(name) == ["created", "started", "exited", "started", "exited"]
    assert [event.run for event in site.told.of(name)] == [1, 1, 1, 2, 2]


async def test_wait_can_name_a_run(site: Site) -> None:
    name, cues = await site.run_with_cues(ENDS_ON_CUE)
    node = site.node
    for run, code in ((1, "5"), (2, "6")):
        cues.go(code)
        assert (await site.told.exit(name, nth=run)).exit_code == int(code)
        assert (await node.start(name)).run == run + 1
    for run in (1, 2):
        waited = await node.wait(name, run=run)
        assert waited.exit is not None
        assert (waited.run, waited.exit.exit_code) == (run, run + 4)
    with pytest.raises(NotFound, match="no run 9 yet"):
        await node.wait(name, run=9)
    cues.go("7")
    present = await node.wait(name)
    assert present.exit is not None
    assert (present.run, present.exit.exit_code) == (3, 7)
    deleted = await node.delete(name)
    older = await node.wait(name, incarnation=deleted.incarnation, run=1)
    assert older.exit is not None
    assert older.exit.exit_code == 5


async def test_the_layer_and_the_logs_go_with_it_and_the_execs_do_not(site: Site) -> None:
    node = site.node
    name = await site.run(shell("cat /file; echo kept >>/file; read x </nothing; sleep 0"))
    await site.told.exit(name)
    await node.start(name)
    await site.told.exit(name, nth=2)
    ended = await node.wait(name, output=True)
    assert ended.output is not None
    assert ended.output.stdout == b"kept\n"
    logs = [each.name for each in (site.agent.folder / "state" / "logs").glob("*/*-init.log")]
    assert {"1-init.log", "2-init.log"} <= set(logs)

    sleeper = await site.run()
    for run in (1, 2):
        await node.exec(sleeper, command("exit 3"), id="job")
        with pytest.raises(NotFound):
            await node.signal(sleeper, process=f"other-{run}")
        await node.exec(sleeper, command("sleep 1000"), id="stays", wait=False)
        await node.stop(sleeper, grace_s=0)
        if run == 1:
            await node.start(sleeper)
            assert [each.process for each in await node.list_processes(sleeper)] == ["init"]
    waited = await node.wait(sleeper, process="job", run=1)
    assert waited.exit is not None
    assert waited.exit.exit_code == 3


async def test_a_refused_run_is_told_and_the_next_may_come(site: Site) -> None:
    """The program is gone from the layer: in runc's and crun's words, and no exit is invented."""
    node = site.node
    rm = shell("rm /bin/sh; exit 0")
    name = await site.run(rm)
    await site.told.exit(name)
    with pytest.raises(RuntimeFailed):
        await node.start(name)
    refused = await site.told.event(name, "start-failed")
    assert (refused.run, refused.data["error"]["code"]) == (2, "runtime-failed")
    view = await node.inspect(name)
    assert (view.state, view.exit, view.run) == (ContainerState.STOPPED, None, 2)
    with pytest.raises(WrongState, match="never ran"):
        await node.wait(name)
    first = await node.wait(name, run=1)
    assert first.exit is not None
    with pytest.raises(RuntimeFailed):
        await node.start(name)
    assert site.told.types(name)[-1] in ("start-failed", "exited")
    await node.delete(name)
    last = await site.told.event(name, "deleted")
    assert last.run == 3
    assert site.told.types(name).count("exited") == 1


async def test_a_start_of_what_runs_is_still_refused(site: Site) -> None:
    name = await site.run()
    with pytest.raises(WrongState):
        await site.node.start(name)
    assert (await site.node.inspect(name)).run == 1
