"""A container's life kept by a checkpoint, and gone on with: in place, and as another one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from tests.integration.bounds import BOUND_S
from tests.integration.counting import COUNTS, Counting
from tests.integration.world import Site, command
from tests.support.eventually import eventually
from tests.support.requirements import requires

from wharfside_protocol.errors import AlreadyExists, Invalid, NotFound, Unsupported, WrongState
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Restart
from wharfside_protocol.states import ContainerState

pytestmark = requires("criu")


async def test_a_counter_goes_on_where_it_was(site: Site) -> None:
    """Not a number is lost or said twice, in its log and in its files, ten times in a row."""
    name = await site.run(COUNTS, checkpointable=True)
    counting = await Counting.of(site, name)
    incarnation = (await site.node.inspect(name)).incarnation
    logged: list[int] = []  # a node keeps the logs of ten runs
    for run in range(1, 11):
        await counting.further(run)
        taken = await site.node.checkpoint(name, f"at-{run}", exit=True)
        assert (taken.run, taken.checkpoint.exit, taken.checkpoint.broken) == (run, True, None)
        status = await site.told.exit(name, nth=run)
        assert (status.reason, status.exit_code) == (ExitReason.CHECKPOINT, 137)
        logged += counting.logged(run)
        restored = await site.node.restore(name, f"at-{run}")
        assert (restored.incarnation, restored.run) == (incarnation, run + 1)
        assert restored.state is ContainerState.RUNNING
    await counting.further(11)
    await site.node.stop(name, grace_s=0)
    await site.told.exit(name, nth=11)
    logged += counting.logged(11)
    assert counting.written() == logged == list(range(len(logged)))
    life = ["checkpointed", "exited", "restored"]
    assert site.told.types(name)[:-2] == ["created", "started", *life * 10]


async def test_a_zombie_is_kept_and_brings_no_rights(site: Site) -> None:
    """A child that nobody waits for: its image has no credentials, so there is nothing to judge."""
    script = "sleep 0.01 & exec sleep 1000"
    name = await site.run(("/bin/sh", "-c", script), checkpointable=True)

    pid = (await site.node.inspect(name)).pid

    def dead() -> bool:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [Path(f"/proc/{each}/stat").read_text().split()[2] for each in children] == ["Z"]

    await eventually(dead, "a zombie")
    await site.node.checkpoint(name, "one", exit=True)
    restored = await site.node.restore(name, "one")
    assert restored.state is ContainerState.RUNNING


async def test_both_copies_live_on(site: Site) -> None:
    """Without `exit` the first one goes on; the second begins with its files and its numbers."""
    first, second = await site.run(COUNTS, checkpointable=True), site.name("copy")
    counting = await Counting.of(site, first)
    await counting.further(1)
    taken = await site.node.checkpoint(first, "one")
    await counting.further(1, len(counting.logged()) + 3)
    restored = await site.node.restore(second, "one", source=first)
    assert (restored.run, restored.state) == (1, ContainerState.RUNNING)
    assert restored.incarnation != taken.incarnation
    copy = await Counting.of(site, second)
    await copy.further(1)
    for name in (first, second):
        await site.node.stop(name, grace_s=0)
        await site.told.exit(name)
    assert counting.logged() == counting.written() == list(range(len(counting.logged())))
    assert copy.written() == list(range(len(copy.written())))
    assert copy.logged() == copy.written()[copy.logged()[0] :]
    assert 0 < copy.logged()[0] < counting.logged()[-1]
    origin = (await site.node.inspect(second)).restored_from
    assert origin is not None
    assert (origin.container, origin.incarnation, origin.run) == (first, taken.incarnation, 1)
    assert origin.digest == taken.checkpoint.digest
    assert site.told.types(first) == ["created", "started", "checkpointed", "stopping", "exited"]
    assert site.told.types(second) == ["created", "restored", "stopping", "exited"]


async def test_a_process_that_nobody_waited_for(site: Site) -> None:
    """It has no rights that could be judged; its parent finds it as dead as before."""
    first, second = site.name("first"), site.name("second")
    args = ("/bin/sh", "-c", "true & exec sleep 1000")
    pid = (await site.make(first, args, checkpointable=True)).pid

    def left() -> bool:
        return _states_below(pid) == ["Z"]

    await eventually(left, "its child is a zombie", within_s=BOUND_S)
    await site.node.checkpoint(first, "one")
    restored = await site.node.restore(second, "one", source=first)
    assert _states_below(restored.pid) == ["Z"]


def _states_below(pid: int | None) -> list[str]:
    """Of its children; proc(5): a state follows the command's name."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    stats = [Path(f"/proc/{child}/stat").read_text() for child in children]
    return [stat.rpartition(")")[2].split()[0] for stat in stats]


async def test_back_to_an_older_one_in_place(site: Site) -> None:
    """The files are what they were then, too; a container deleted since can be gone on with."""
    name = await site.run(COUNTS, checkpointable=True)
    counting = await Counting.of(site, name)
    await counting.further(1)
    await site.node.checkpoint(name, "early")
    await counting.further(1, len(counting.logged()) + 5)
    await site.node.stop(name, grace_s=0)
    late = counting.written()[-1]
    await site.node.restore(name, "early")
    await counting.further(2)
    assert counting.logged(2)[0] < late
    deleted = await site.node.delete(name, force=True)
    other = site.name("heir")
    await site.node.restore(other, "early", incarnation=deleted.incarnation)
    heir = await Counting.of(site, other)
    await heir.further(1)
    await site.node.stop(other, grace_s=0)
    assert heir.written() == list(range(len(heir.written())))


async def test_what_is_there_is_listed_and_deleted(site: Site) -> None:
    name = await site.run(COUNTS, checkpointable=True)
    for each in ("one", "two"):
        await site.node.checkpoint(name, each)
    with pytest.raises(AlreadyExists):
        await site.node.checkpoint(name, "one")
    found = await site.node.checkpoints(name)
    assert [each.checkpoint for each in found.checkpoints] == ["one", "two"]
    one = found.checkpoints[0]
    assert (one.container, one.run, one.node, one.exit) == (name, 1, site.agent.name, False)
    assert one.bytes > 100_000
    assert one.runtime == "runc"
    assert one.criu_version is not None
    assert one.criu_version >= "3"
    assert one.timestamp is not None
    assert one.digest is not None
    assert len(one.digest) == 64
    assert found.bytes >= sum(each.bytes for each in found.checkpoints)
    assert (await site.node.delete_checkpoint(name, "one")).deleted
    assert not (await site.node.delete_checkpoint(name, "one")).deleted
    assert [each.checkpoint for each in (await site.node.checkpoints()).checkpoints][-1] == "two"
    with pytest.raises(NotFound, match="no checkpoint one"):
        await site.node.restore(site.name(), "one", source=name)


async def test_what_cannot_be_checkpointed_says_why(site: Site) -> None:
    node, plain = site.node, await site.run()
    with pytest.raises(Unsupported, match=r"not made for checkpoints.*runs on crun"):
        await node.checkpoint(plain, "one")
    with pytest.raises(Unsupported, match="no runtime of this node can checkpoint"):
        await site.run(checkpointable=True, runtime="crun")
    waits = site.name()
    await node.create(site.spec(waits, checkpointable=True))
    with pytest.raises(WrongState, match="start it first"):
        await node.checkpoint(waits, "one")
    await node.start(waits)
    await node.pause(waits)
    with pytest.raises(WrongState, match="resume it first"):
        await node.checkpoint(waits, "one")
    await node.resume(waits)
    await node.exec(waits, command("sleep 1000"), id="job", wait=False)
    with pytest.raises(WrongState, match=r"execs that run \(job\)"):
        await node.checkpoint(waits, "one")
    with pytest.raises(WrongState, match="stop it first, or restore it as a new container"):
        await node.restore(waits, "one")
    await node.stop(waits, grace_s=0)
    with pytest.raises(NotFound):
        await node.restore(waits, "one")
    with pytest.raises(NotFound, match="give an incarnation"):
        await node.restore(site.name(), "one", source="nobody")
    assert "checkpoint-failed" not in site.told.types(waits)
    assert not (await node.checkpoints(waits)).checkpoints


@pytest.mark.parametrize("policy", ["always", "no"])
async def test_its_policy_rests(site: Site, policy: Literal["always", "no"]) -> None:
    """Also what is to be removed at its end stays: its life goes on later."""
    name = await site.run(
        checkpointable=True, restart=Restart(policy=policy), auto_remove=policy == "no"
    )
    await site.node.checkpoint(name, "one", exit=True)
    if policy == "always":
        told = await site.told.event(name, "not-restarting")
        assert told.data["why"] == "checkpointed"
    assert (await site.node.inspect(name)).state is ContainerState.STOPPED
    await site.node.restore(name, "one")
    await site.node.signal(name, "HUP")
    assert (await site.node.inspect(name)).state is ContainerState.RUNNING
    await site.node.delete(name, force=True)


async def test_a_bit_flipped_in_any_file_is_refused(site: Site) -> None:
    """Before anything is started: the container stays as it was, and a good one still serves."""
    name = await site.run(COUNTS, checkpointable=True)
    taken = await site.node.checkpoint(name, "one", exit=True)
    await site.told.exit(name)
    folder = site.agent.folder / "state/checkpoints" / taken.incarnation.lower() / "one"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) > 20
    for path in files:
        whole = path.read_bytes()
        if not whole:
            continue
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        with pytest.raises(Invalid):
            await site.node.restore(name, "one")
        path.write_bytes(whole)
    (folder / "dump.log").unlink()
    with pytest.raises(Invalid, match=r"dump.log is missing"):
        await site.node.restore(name, "one")
    assert (await site.node.checkpoints(name)).checkpoints[0].broken is not None
    await site.node.checkpoint(await site.run(checkpointable=True), "other")
    assert site.told.types(name) == ["created", "started", "checkpointed", "exited"]
