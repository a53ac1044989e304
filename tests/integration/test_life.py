"""The whole life of a container over the bus, and what each op answers on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest
from tests.integration.bounds import bounded
from tests.integration.fifos import ENDS_ON_CUE, shell
from tests.integration.world import Site
from tests.support.eventually import eventually
from tests.support.machine import cgroup_roots, has_ended

from wharfside_protocol.errors import NotFound, RuntimeFailed, WrongState
from wharfside_protocol.event_facts import Created
from wharfside_protocol.specs import Io, Limits

pytestmark = pytest.mark.requires("root", "crun", "runc", "conmon", "busybox-static")


@pytest.mark.parametrize("runtime", ["crun", "runc"])
async def test_create_start_exited_delete(site: Site, runtime: str) -> None:
    name = site.name()
    labels = {"app": "web"}
    spec = site.spec(name, shell("echo out; echo err >&2; exit 3"), labels=labels, runtime=runtime)
    created = await site.node.create(spec)
    assert (created.state, created.run, created.revision) == ("created", 1, 2)
    assert created.pid is not None
    init = psutil.Process(created.pid)
    # until it is started it runs its runtime, from the sealed copy
    assert str(Path(f"/proc/{init.pid}/exe").readlink()) == f"/memfd:{runtime} (deleted)"
    started = await site.node.start(name)
    assert (started.state, started.revision, started.pid) == ("running", 3, created.pid)
    exit_ = (await site.node.wait(name, output=True)).exit
    assert exit_ is not None
    assert (exit_.exit_code, exit_.reason, exit_.signal) == (3, "self", None)
    assert exit_.status_known
    assert exit_.duration_us is not None
    details = await site.node.inspect(name)
    assert (details.state, details.exit, details.runtime) == ("stopped", exit_, runtime)
    deleted = await site.node.delete(name)
    assert deleted.exit == exit_
    await site.told.event(name, "deleted")
    assert site.told.types(name) == ["created", "started", "exited", "deleted"]
    assert await site.told.exit(name) == exit_
    assert all(event.labels == labels for event in site.told.of(name))
    assert not init.is_running()


async def test_output_comes_with_wait_each_stream_apart(site: Site) -> None:
    name = await site.run(shell("echo to-out; echo to-err >&2"))
    output = (await site.node.wait(name, output=True)).output
    assert output is not None
    assert (output.stdout, output.stderr) == (b"to-out\n", b"to-err\n")
    assert (output.stdout_truncated, output.stderr_truncated) == (False, False)


async def test_wait_tells_that_it_still_runs_and_then_the_exit(site: Site) -> None:
    name, cues = await site.run_with_cues()
    first = await site.node.call("wait", {"container": name, "timeout_s": 0})
    assert first.exit is None  # type: ignore[attr-defined]
    waiting = asyncio.create_task(site.node.wait(name))
    cues.go("5")
    exit_ = (await bounded(waiting, "wait")).exit
    assert exit_ is not None
    assert exit_.exit_code == 5


async def test_wait_and_inspect_by_incarnation_outlive_the_delete(site: Site) -> None:
    name = site.name()
    old = await site.make(name, shell("exit 4"))
    await site.node.wait(name)
    await site.node.delete(name)
    new = await site.make(name)
    told = await site.node.wait(name, incarnation=old.incarnation)
    assert told.exit is not None
    assert told.exit.exit_code == 4
    record = await site.node.inspect(name, incarnation=old.incarnation)
    assert (record.state, record.exit) == ("deleted", told.exit)
    assert record.deleted_at is not None
    assert (await site.node.inspect(name)).incarnation == new.incarnation
    with pytest.raises(NotFound):
        await site.node.inspect(site.name(), incarnation=old.incarnation)


async def test_auto_remove_keeps_exit_and_output_for_those_who_come_late(site: Site) -> None:
    name = site.name()
    made = await site.make(name, shell("echo bye; exit 6"), auto_remove=True)
    await site.told.event(name, "deleted")
    told = await site.node.wait(name, incarnation=made.incarnation, output=True)
    assert told.exit is not None
    assert told.exit.exit_code == 6
    assert told.output is not None
    assert told.output.stdout == b"bye\n"
    assert name not in [view.container for view in await site.node.list(all=True)]
    assert site.told.types(name) == ["created", "started", "exited", "deleted"]


@pytest.mark.parametrize("runtime", ["crun", "runc"])
async def test_a_program_that_is_not_there_is_told_in_the_runtimes_words(
    site: Site, runtime: str
) -> None:
    name = site.name()
    with pytest.raises(RuntimeFailed, match="no-such-program") as refused:
        await site.make(name, ("/bin/no-such-program",), runtime=runtime)
    assert refused.value.details["exit_code"] == 127
    failed = await site.told.event(name, "create-failed")
    assert failed.data["error"]["message"] == refused.value.message
    assert name not in [view.container for view in await site.node.list(all=True)]
    await site.make(name)
    await site.told.event(name, "started")
    assert site.told.types(name) == ["create-failed", "created", "started"]


async def test_an_init_that_dies_before_its_start_exits_and_may_be_started_anew(site: Site) -> None:
    name = site.name()
    created = await site.node.create(site.spec(name))
    assert created.pid is not None
    psutil.Process(created.pid).kill()
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.signal) == (137, 9)
    assert (await site.node.start(name)).run == 2
    await site.node.delete(name, force=True)
    await site.told.event(name, "deleted")
    assert site.told.types(name) == ["created", "exited", "started", "exited", "deleted"]


async def test_delete_of_one_that_never_ran_tells_no_exit(site: Site) -> None:
    name = site.name()
    created = await site.node.create(site.spec(name))
    assert created.pid is not None
    init = psutil.Process(created.pid)
    waiting = asyncio.create_task(site.node.wait(name))
    deleted = await site.node.delete(name)
    assert deleted.exit is None
    await site.told.event(name, "deleted")
    assert site.told.types(name) == ["created", "deleted"]
    with pytest.raises((WrongState, NotFound)):
        await bounded(waiting, "wait for what never ran")
    assert has_ended(init)


async def test_list_pages_by_name_and_filters_by_labels_and_state(site: Site) -> None:
    label = {"batch": site.name("l")}
    names = [await site.run(name=site.name("a"), labels=label) for _ in range(2)]
    over = await site.run(shell("exit 0"), name=site.name("a"), labels=label)
    await site.run(name=site.name("a"), labels={"batch": "other"})
    await site.node.wait(over)
    running = [view.container for view in await site.node.list(labels=label)]
    assert running == sorted(names)
    everything = [view.container for view in await site.node.list(all=True, labels=label)]
    assert everything == sorted([*names, over])
    seen: list[str] = []
    after = None
    while True:
        page = await site.node.call(
            "list", {"all": True, "labels": label, "limit": 2, "after": after}
        )
        seen += [view.container for view in page.containers]  # type: ignore[attr-defined]
        after = page.next  # type: ignore[attr-defined]
        if after is None:
            break
    assert seen == everything


async def test_inspect_tells_spec_process_and_places(site: Site) -> None:
    name = await site.run(env={"A": "1"}, cwd="/tmp", limits=Limits(pids=64))
    details = await site.node.inspect(name)
    assert details.spec.limits == Limits(pids=64)
    assert details.command == ["/bin/sleep", "1000"]
    assert details.oci_process is not None
    assert details.oci_process["cwd"] == "/tmp"
    assert "A=1" in details.oci_process["env"]
    assert (Path(details.bundle) / "config.json").exists()
    assert details.pid is not None
    assert details.cgroup in Path(f"/proc/{details.pid}/cgroup").read_text()
    assert [process.process for process in details.processes] == ["init"]


async def test_inspect_tells_where_the_log_of_this_run_lies(site: Site) -> None:
    name = await site.run(shell("echo here"))
    await site.node.wait(name)
    first = (await site.node.inspect(name)).log
    assert first is not None
    assert Path(first).read_text().endswith(" stdout F here\n")
    await site.node.start(name)
    await site.node.wait(name)
    details = await site.node.inspect(name)
    assert details.log not in (None, first)
    assert Path(details.log).exists()
    await site.node.delete(name)
    record = await site.node.inspect(name, incarnation=details.incarnation)
    assert record.log is None, "a log goes with its container"


async def test_inspect_tells_of_no_log_where_there_is_none(site: Site) -> None:
    name = await site.run(io=Io(log=False))
    assert (await site.node.inspect(name)).log is None


async def test_stats_are_the_kernels_own(site: Site) -> None:
    name = await site.run(limits=Limits(memory_bytes=64 << 20, pids=32))
    stats = (await site.node.stats(name)).stats
    assert stats.memory is not None
    assert stats.cpu is not None
    assert stats.pids is not None
    assert stats.memory.limit_bytes == 64 << 20
    assert 0 < stats.memory.usage_bytes < 64 << 20
    assert (stats.pids.current, stats.pids.limit) == (1, 32)
    assert stats.cpu.usage_us > 0


async def test_what_is_left_of_a_deleted_container_is_nothing(site: Site) -> None:
    name = await site.run()
    details = await site.node.inspect(name)
    roots = list(cgroup_roots(details.cgroup))
    assert roots
    await site.node.delete(name, force=True)
    assert not any(root.exists() for root in roots)
    assert not Path(details.bundle).exists()
    assert details.incarnation.lower() not in Path("/proc/self/mountinfo").read_text()
    with pytest.raises(NotFound):
        await site.node.stats(name)


async def test_presence_and_projection_follow(site: Site) -> None:
    name, cues = await site.run_with_cues(ENDS_ON_CUE)

    async def projected(state: str) -> bool:
        found = {each.container: each for each in await site.fleet.containers()}
        return name in found and found[name].state == state

    await eventually(lambda: projected("running"), "projection")
    cues.go()
    await eventually(lambda: projected("stopped"), "projection")
    await site.node.delete(name)
    await eventually(lambda: projected("deleted"), "projection")
    (status,) = [each for each in await site.fleet.nodes() if each.node == "n1"]
    assert not status.silent
    assert status.info.labels == {"zone": "test"}
    assert [each.name for each in status.info.runtimes] == ["crun", "runc"]
    created = await site.told.event(name, "created")
    assert created.data.keys() == set(Created.__struct_fields__)
