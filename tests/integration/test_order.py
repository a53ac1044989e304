"""One test a row of the event order (core/event_order.py), each where the row is hard to keep.

That all events of all modules keep all rows is checked when each module is over.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.integration.attach_kit import execed, rest
from tests.integration.bounds import bounded
from tests.integration.fifos import OBEYS_TERM, shell
from tests.integration.test_oom import EATS, LIMIT
from tests.integration.thrashing import thrashing
from tests.integration.world import Site, World
from tests.support.agent import AgentProcess
from tests.support.bundle import write_bundle
from tests.support.requirements import requires

from wharfside_agent.core.event_order import ORDER
from wharfside_client import container, process
from wharfside_protocol.commands import DeleteArgs
from wharfside_protocol.specs import Limits, Restart

AT_ONCE = 6


@pytest.fixture(scope="module")
def agent(world: World) -> Iterator[AgentProcess]:
    """`n1`, which lets the node's own pid namespace in: there execs outlive init."""
    with world.running("n1", '\n[policy]\nhost_namespaces = ["pid"]\n') as agent:
        yield agent


def test_every_promise_has_its_test() -> None:
    here = vars(sys.modules[__name__])
    assert not [rule.name for rule in ORDER if f"test_{rule.name.replace('-', '_')}" not in here]


async def test_created_once(site: Site) -> None:
    """Also where init dies before anyone could start it."""
    names = [site.name() for _ in range(AT_ONCE)]

    async def create_and_kill(name: str) -> None:
        created = await site.node.create(site.spec(name))
        assert created.pid is not None
        psutil.Process(created.pid).kill()

    await asyncio.gather(*map(create_and_kill, names))
    for name in names:
        await site.told.exit(name)
        assert site.told.types(name) == ["created", "exited"]


async def test_started_before_exited(site: Site) -> None:
    """The program is over before the runtime's `start` is."""
    names = [site.name() for _ in range(AT_ONCE)]
    await asyncio.gather(*(site.make(name, ("/bin/true",)) for name in names))
    for name in names:
        assert (await site.told.exit(name)).exit_code == 0
        assert site.told.types(name) == ["created", "started", "exited"]


async def test_exited_once(site: Site) -> None:
    """However many want its end at once."""
    name, cues = await site.run_with_cues(OBEYS_TERM)
    await cues.ready()
    node = site.node
    await asyncio.gather(
        node.stop(name, grace_s=0),
        node.signal(name, "KILL"),
        node.signal(name, "TERM"),
        node.stop(name, grace_s=0),
        return_exceptions=True,
    )
    told = await site.told.exit(name)
    assert (await node.wait(name)).exit == told
    await node.delete(name)
    await site.told.event(name, "deleted")
    assert site.told.types(name).count("exited") == 1


async def test_execs_before_init(site: Site) -> None:
    """One that outlives init is named as pending, follows, and `deleted` waits for it.

    A pid namespace takes its execs along with its init: a bundle without one does not.
    """
    bundle = _without_pid_namespace(site)
    name, cues = site.name(), site.cues()
    args = shell("read code </cue/go; exit $code")
    await site.node.run(container(name, args, bundle=str(bundle), mounts=[cues.mount]))
    await site.node.exec(name, process(["/bin/sleep", "1000"]), id="quick", wait=False)
    await site.node.exec(name, process(["/bin/sleep", "1000"]), id="slow", wait=False)
    # init's end waits for 2 s at most: not for this process, which may be held up here
    await site.node.signal(name, "KILL", process="quick")
    cues.go("5")
    ended = await site.told.event(name, "exited", process="init")
    assert ended.data["execs_pending"] == ["slow"]
    assert (await site.node.inspect(name)).state == "stopped"
    await site.node.delete(name)
    assert (await site.told.exit(name, "slow")).exit_code == 137
    await site.told.event(name, "deleted")
    assert site.told.types(name)[-4:] == ["exited:quick", "exited", "exited:slow", "deleted"]


async def test_oom_before_exited(site: Site) -> None:
    names = [site.name() for _ in range(AT_ONCE)]
    limits = Limits(memory_bytes=LIMIT, swap_bytes=0)
    await asyncio.gather(*(site.make(name, shell(f"exec {EATS}"), limits=limits) for name in names))
    for name in names:
        assert (await site.told.exit(name)).oom_killed
        assert site.told.types(name) == ["created", "started", "oom", "exited"]


@requires("psi")
async def test_pressure_within_its_run(site: Site) -> None:
    """It is killed while it stalls, and the next run is told anew."""
    name = await thrashing(site, site.cues())
    for run in (1, 2):
        begins = await site.told.event(name, "pressure", nth=run)
        assert (begins.run, begins.data["phase"]) == (run, "begins")
        await site.node.signal(name, "KILL")
        await site.told.exit(name, nth=run)
        if run == 1:
            await site.node.start(name)
    types = ["started", "pressure", "signaled", "exited"]
    assert site.told.types(name) == ["created", *types, *types]


async def test_paused_before_resumed(site: Site) -> None:
    """An exit may end a pause."""
    name = await site.run()
    ops = [site.node.pause, site.node.resume] * 3 + [site.node.pause]
    for op in ops:
        await op(name)
    await site.node.delete(name, force=True)
    await site.told.event(name, "deleted")
    pauses = ["paused", "resumed"] * 3 + ["paused"]
    assert site.told.types(name) == ["created", "started", *pauses, "exited", "deleted"]


async def test_stopping_before_exited(site: Site) -> None:
    """It ends at the signal, at once."""
    running = [await site.run_with_cues(OBEYS_TERM) for _ in range(AT_ONCE)]
    for _name, cues in running:
        await cues.ready()
    await asyncio.gather(*(site.node.stop(name, grace_s=15) for name, _cues in running))
    for name, _cues in running:
        assert (await site.told.exit(name)).reason == "stop"
        assert site.told.types(name) == ["created", "started", "stopping", "exited"]


async def test_attached_before_exited(site: Site) -> None:
    """The program is over before its session is, and perhaps before that is told."""
    name = await site.run()

    async def short(number: int) -> None:
        async with execed(site, name, "/bin/true", exec=f"e{number}", io={"tty": True}) as session:
            await rest(session)

    await asyncio.gather(*map(short, range(AT_ONCE)))
    await site.node.stop(name, grace_s=0)
    await site.told.exit(name)
    for number in range(AT_ONCE):
        events = [event.type for event in site.told.of(name) if event.process == f"e{number}"]
        assert events[-1] == "exited"
        assert [each for each in events if "tached" in each] in ([], ["attached"])


@requires("criu")
async def test_checkpointed_before_exited(site: Site) -> None:
    """Also where the program ends by itself as soon as it is thawed."""
    names = [site.name() for _ in range(2)]
    ends = shell("while ! test -e /tmp/end; do sleep 0.01; done")

    async def take(name: str) -> None:
        await site.make(name, ends, checkpointable=True)
        await site.node.checkpoint(name, "one", exit=True)

    await asyncio.gather(*map(take, names))
    for name in names:
        assert (await site.told.exit(name)).reason == "checkpoint"
        assert site.told.types(name) == ["created", "started", "checkpointed", "exited"]


async def test_runs_in_order(site: Site) -> None:
    """An exec outlives its init: the next run waits for its end to be told."""
    bundle = _without_pid_namespace(site)
    name, cues = site.name(), site.cues()
    args = shell("read code </cue/go; exit $code")
    await site.node.run(container(name, args, bundle=str(bundle), mounts=[cues.mount]))
    await site.node.exec(name, process(["/bin/sleep", "1000"]), id="slow", wait=False)
    cues.go("5")
    ended = await site.told.event(name, "exited", process="init")
    assert ended.data["execs_pending"] == ["slow"]
    assert (await site.node.start(name)).run == 2
    assert (await site.told.exit(name, "slow")).exit_code == 137
    await site.told.event(name, "started", nth=2)
    assert site.told.types(name)[-3:] == ["exited", "exited:slow", "started"]
    assert [event.run for event in site.told.of(name)[-3:]] == [1, 1, 2]


async def test_restarting_before_its_run(site: Site) -> None:
    """Many at once, each over before its start is."""
    names = [site.name() for _ in range(AT_ONCE)]
    twice = Restart(policy="on-failure", max_retries=2)
    await asyncio.gather(*(site.make(name, ("/bin/false",), restart=twice) for name in names))
    for name in names:
        await site.told.event(name, "not-restarting")
        each = ["started", "exited", "restarting"]
        assert site.told.types(name) == ["created", *each * 2, *each[:2], "not-restarting"]


async def test_deleted_last(site: Site) -> None:
    """Also where auto-remove and a delete by force want it at once, and execs still run."""
    name, cues = site.name(), site.cues()
    script = shell("read code </cue/go; exit $code")
    await site.make(name, script, mounts=[cues.mount], auto_remove=True)
    for _ in range(3):
        await site.node.exec(name, process(["/bin/sleep", "1000"]), wait=False)
    deleting = asyncio.create_task(site.node.request("delete", _forced(name)))
    cues.go("0")
    await bounded(deleting, "delete")
    await site.told.event(name, "deleted")
    told = site.told.types(name)
    assert told.count("deleted") == told.count("exited") == 1
    assert told[-1] == "deleted"


def _without_pid_namespace(site: Site) -> Path:
    bundle = site.world.roots / site.name("bundle")
    write_bundle(bundle, site.world.rootfs, ["/bin/true"], cgroup="/x")
    config = json.loads((bundle / "config.json").read_text())
    spaces = config["linux"]["namespaces"]
    config["linux"]["namespaces"] = [each for each in spaces if each["type"] != "pid"]
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def _forced(name: str) -> DeleteArgs:
    return DeleteArgs(container=name, force=True)
