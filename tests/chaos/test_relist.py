"""What happens behind the agent's back, or past its eyes, is found, told and counted."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from tests.chaos.processes import stopped
from tests.integration.world import Site, World, open_site, restart
from tests.support import machine
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually
from ulid import ULID

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.core.placement import Places, RunPlace
from wharfside_agent.runtime.argv import MonitorDir, OciBinary, Streams, conmon_exec
from wharfside_agent.runtime.probe import find_program
from wharfside_agent.watchers.mounts import read_cgroup_mounts
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Io

DEAF = Path(machine.__file__).with_name("deaf_agent.py")
QUICK = "\n[relist]\nevery_s = 0.3\npatience_s = 0.3\n"


@pytest.fixture(scope="module")
def agent(world: World) -> Iterator[AgentProcess]:
    with world.running("n1", QUICK) as agent:
        yield agent


@pytest.fixture
async def missed(site: Site) -> AsyncIterator[None]:
    """Exactly one change is counted as missed by the test that asks for this."""
    before = (await site.node.info()).events_missed
    yield
    assert (await site.node.info()).events_missed == before + 1


def crun(site: Site, *words: str) -> None:
    root = Places(site.agent.folder / "run", site.agent.folder / "state").runtime_roots / "crun"
    subprocess.run(["crun", f"--root={root}", *words], check=True, timeout=60)


async def place_of(site: Site, name: str) -> RunPlace:
    found = await site.node.inspect(name)
    folder = site.agent.folder
    return RunPlace(Places(folder / "run", folder / "state"), found.incarnation, found.run)


@pytest.mark.usefixtures("missed")
async def test_paused_behind_the_agents_back(site: Site) -> None:
    name = await site.run()
    crun(site, "pause", (await place_of(site, name)).runtime_id)
    await site.told.event(name, "paused")
    assert (await site.node.inspect(name)).state == "paused"
    assert site.told.types(name) == ["created", "started", "event-missed", "paused"]
    await site.node.resume(name)


@pytest.mark.usefixtures("missed")
async def test_resumed_behind_the_agents_back(site: Site) -> None:
    name = await site.run()
    await site.node.pause(name)
    crun(site, "resume", (await place_of(site, name)).runtime_id)
    await site.told.event(name, "resumed")
    assert (await site.node.inspect(name)).state == "running"
    assert site.told.types(name) == ["created", "started", "paused", "event-missed", "resumed"]


@pytest.mark.usefixtures("missed")
async def test_the_runtime_forgot_it(site: Site) -> None:
    """Told once; it is watched to its end, and goes like any other."""
    name, cues = await site.run_with_cues()
    place = await place_of(site, name)
    state = place.places.runtime_roots / "crun" / place.runtime_id
    state.rename(state.with_name("hidden"))
    lost = await site.told.event(name, "event-missed")
    assert place.runtime_id in lost.data["message"]
    await asyncio.sleep(1)  # three more looks
    cues.go("4")
    assert (await site.told.exit(name)).exit_code == 4
    await site.node.delete(name)
    await site.told.event(name, "deleted")
    assert site.told.types(name) == ["created", "started", "event-missed", "exited", "deleted"]
    subprocess.run(["rm", "-r", state.with_name("hidden")], check=True, timeout=60)


@pytest.mark.usefixtures("missed")
async def test_an_exec_without_a_row_is_adopted(site: Site) -> None:
    name = await site.run()
    place = await place_of(site, name)
    monitor = MonitorDir(place.monitor_dir("stray"))
    monitor.persist.mkdir(parents=True)
    process = {"args": ["/bin/sh", "-c", "sleep 1000"], "cwd": "/", "env": ["PATH=/bin"]}
    monitor.process_spec.write_bytes(msgspec.json.encode(process))
    path = find_program("crun")
    conmon = find_program("conmon")
    assert path is not None
    assert conmon is not None
    oci = OciBinary("crun", path, place.places.runtime_roots / "crun")
    streams = Streams(Io(), place.log("stray"))
    words = conmon_exec(conmon, oci, place.runtime_id, monitor, streams)
    await asyncio.to_thread(subprocess.run, words, check=True, timeout=60)
    begun = await site.told.event(name, "exec-started", process="stray")
    assert psutil.Process(begun.data["pid"]).is_running()
    added = await site.told.event(name, "exec-added", process="stray")
    assert added.data["args"] == process["args"]
    await site.node.signal(name, "KILL", process="stray")
    assert (await site.told.exit(name, "stray")).exit_code == 137


async def test_what_the_dead_left_is_removed_and_the_living_reported(
    site: Site, world: World
) -> None:
    mounts = read_cgroup_mounts()
    dead, alive = (str(ULID()).lower() for _ in range(2))
    places = Places(site.agent.folder / "run", site.agent.folder / "state")
    left = [
        *(folder(places, dead) for folder in (_run, _layer, _log)),
        _cgroup(mounts, world, dead),
        _cgroup(mounts, world, alive),
    ]
    sleeper = await asyncio.create_subprocess_exec("sleep", "1000")
    with stopped(site.agent):  # it must not find the living one while that is empty still
        for each in left:
            each.mkdir(parents=True, exist_ok=True)
        (left[0] / "rootfs").mkdir()
        mount = ["mount", "-t", "tmpfs", "none", left[0] / "rootfs"]
        subprocess.run(mount, check=True, timeout=60)
        (left[-1] / "cgroup.procs").write_text(str(sleeper.pid))

    async def as_it_should_be() -> bool:
        gone = not any(each.exists() for each in left[:-1])
        return gone and (await site.node.info()).orphans == [alive]

    await eventually(as_it_should_be, "the dead one removed, the living one told", within_s=20)
    assert not [line for line in machine.mounts() if dead in line]
    assert left[-1].exists()
    sleeper.kill()
    await sleeper.wait()

    async def all_gone() -> bool:
        return not left[-1].exists() and (await site.node.info()).orphans == []

    await eventually(all_gone, "the other one removed after its end", within_s=20)


async def test_ordinary_life_is_never_doubted(site: Site) -> None:
    """At a look every 0.3 s, everything that a container can do."""
    before = (await site.node.info()).events_missed
    for _ in range(4):
        name, cues = await site.run_with_cues()
        await site.node.pause(name)
        await asyncio.sleep(0.7)
        await site.node.resume(name)
        await site.node.exec(name, site.spec(name, ("/bin/true",)).process, wait=True)
        cues.go("1")
        await site.node.wait(name)
        await site.node.delete(name)
    await asyncio.sleep(0.7)
    info = await site.node.info()
    assert (info.events_missed, info.orphans) == (before, [])


def _run(places: Places, incarnation: str) -> Path:
    return RunPlace(places, incarnation, 1).bundle


def _layer(places: Places, incarnation: str) -> Path:
    return RunPlace(places, incarnation, 1).layer


def _log(places: Places, incarnation: str) -> Path:
    return RunPlace(places, incarnation, 1).logs


def _cgroup(mounts: CgroupMounts, world: World, incarnation: str) -> Path:
    folder = mounts.at(f"{world.cgroup}/ctr/{incarnation}").folder("memory")
    assert folder is not None
    return folder


@pytest.fixture
def deaf(world: World) -> Iterator[AgentProcess]:
    with world.agent("deaf") as agent:
        agent.program = (str(DEAF),)
        agent.write_config(QUICK)
        agent.start(until="bus-connected")
        yield agent
        assert agent.stop() == 0


async def test_an_exit_that_no_bell_rang_for(world: World, deaf: AgentProcess) -> None:
    """Told late, with its code and its true time, and counted; over restarts, too."""
    async with open_site(world, deaf) as site:
        await site.listed()
        name, cues = await site.run_with_cues()
        cues.go("6")
        exit_ = await site.told.exit(name)
        assert (exit_.exit_code, exit_.reason, exit_.status_known) == (6, ExitReason.SELF, True)
        assert site.told.types(name) == ["created", "started", "event-missed", "exited"]
        assert (await site.node.info()).events_missed == 1
        await restart(deaf)
        await eventually(lambda: _counts(site, 1), "the count outlives the agent", within_s=20)
        await site.node.delete(name)


async def _counts(site: Site, wanted: int) -> bool:
    return (await site.node.info()).events_missed == wanted
