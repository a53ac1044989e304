"""Checkpoints as they are asked for: phases, cancel, deadline, by mail, and at a terminal."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.bounds import bounded
from tests.integration.cli_kit import Ran, typed
from tests.integration.counting import COUNTS, Counting, broken_criu
from tests.integration.fifos import TARGET, Cues
from tests.integration.test_durable import has_mailbox
from tests.integration.world import Site, World, start, stop, visit
from tests.support.agent import AgentProcess
from tests.support.requirements import find_command, requires

from wharfside_client.calls import deadline_in, new_command_id
from wharfside_protocol.errors import Canceled, DeadlineExceeded, Unsupported
from wharfside_protocol.node_commands import Progress
from wharfside_protocol.states import ContainerState

pytestmark = requires("criu")

Cli = Callable[..., Awaitable[Ran]]


@pytest.fixture
def cli(site: Site) -> Cli:
    async def run(*arguments: str) -> Ran:
        return await typed(site.world.server.url, *arguments)

    return run


async def test_its_phases_are_told(site: Site) -> None:
    name, id_ = await site.run(COUNTS, checkpointable=True), new_command_id()
    told: list[str] = []

    def tell(progress: Progress) -> None:
        phase = str(progress.phase)
        if told[-1:] != [phase]:
            told.append(phase)

    async with site.fleet.progress("n1", id_, tell):
        await site.node.checkpoint(name, "one", exit=True, command_id=id_)
    again = new_command_id()
    async with site.fleet.progress("n1", again, tell):
        await site.node.restore(name, "one", command_id=again)
    assert told == ["freezing", "dumping", "writing", "checking", "restoring"]


_HELD = """\
#!/bin/sh
if [ "$1" = swrk ] && [ -d "{folder}/held" ]; then
    echo held >"{folder}/held/ready"
    read -r _ <"{folder}/held/go"
fi
exec {criu} "$@"
"""


@dataclass(frozen=True)
class Criu:
    """A CRIU that can be held before it does what runc asks of it."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        script = self.folder / "criu"
        script.write_text(_HELD.format(folder=self.folder, criu=find_command("criu")))
        script.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.pathsep.join([str(self.folder), os.environ["PATH"]])}

    @contextmanager
    def hold(self) -> Iterator[Cues]:
        """From now on, until the end of the context lets it go on."""
        cues = Cues(self.folder / "held")
        try:
            yield cues
        finally:
            (self.folder / "held").rename(self.folder / f"over-{time.monotonic_ns()}")
            cues.go()
            cues.close()


@pytest.fixture(scope="module")
def criu(world: World) -> Criu:
    return Criu(world.folder / "criu")


@pytest.fixture(scope="module")
def held_agent(world: World, criu: Criu) -> Iterator[AgentProcess]:
    with world.agent("held") as agent:
        agent.start(until="bus-connected", **criu.environment)
        yield agent
        assert agent.stop() == 0


@pytest.fixture
async def held(world: World, held_agent: AgentProcess) -> AsyncIterator[Site]:
    async with visit(world, held_agent) as site:
        yield site


@pytest.mark.parametrize("phase", ["freezing", "dumping", "writing"])
async def test_canceled_in_a_phase_it_is_undone(held: Site, criu: Criu, phase: str) -> None:
    """CRIU is let come to its end; then nothing is left, and the container goes on."""
    site = held
    name, id_ = await site.run(COUNTS, checkpointable=True), new_command_id()
    counting = await Counting.of(site, name)
    reached = asyncio.Event()

    def tell(progress: Progress) -> None:
        if progress.phase == phase:
            reached.set()

    # it may not be over before it is canceled
    halting = nullcontext() if phase == "writing" else criu.hold()
    async with site.fleet.progress("held", id_, tell):
        with halting:
            asked = asyncio.create_task(
                site.node.checkpoint(name, "one", exit=True, command_id=id_, timeout_s=30)
            )
            await bounded(reached.wait(), phase)
            canceled = await site.node.cancel(id_)
    if not canceled.canceled:  # it was committed in this very moment
        assert phase == "writing"
        await asked
        return
    with pytest.raises(Canceled):
        await asked
    failed = await site.told.event(name, "checkpoint-failed")
    assert failed.data["error"]["code"] == "canceled"
    assert (await site.node.inspect(name)).state is ContainerState.RUNNING
    assert not (await site.node.checkpoints(name)).checkpoints
    await counting.further(1, len(counting.logged()) + 3)
    await site.node.checkpoint(name, "one")
    logged = counting.logged()  # before what is written, since it goes on with both
    assert counting.written()[: len(logged)] == logged


async def test_past_its_deadline_it_is_undone(held: Site, criu: Criu) -> None:
    """With a CRIU that takes its time."""
    name = await held.run(COUNTS, checkpointable=True)
    counting = await Counting.of(held, name)
    with criu.hold() as halted:
        # it must be under way by then
        asked = asyncio.create_task(
            held.node.checkpoint(name, "one", exit=True, deadline=deadline_in(6))
        )
        await halted.ready()
        with pytest.raises(DeadlineExceeded):
            await asked
    failed = await held.told.event(name, "checkpoint-failed")
    assert failed.data["checkpoint"] == "one"
    assert not (await held.node.checkpoints(name)).checkpoints
    await counting.further(1, len(counting.logged()) + 3)


async def test_by_mail(site: Site) -> None:
    await site.fleet.setup.add_node("n1")
    await has_mailbox(site, "ok")
    name = await site.run(COUNTS, checkpointable=True)
    counting = await Counting.of(site, name)
    await counting.further(1)
    taken = await site.node.checkpoint(name, "one", exit=True, durable=True, timeout_s=30)
    assert taken.checkpoint.checkpoint == "one"
    restored = await site.node.restore(name, "one", durable=True, timeout_s=30)
    assert restored.run == 2
    other = site.name("copy")
    await site.node.restore(other, "one", source=name, durable=True, timeout_s=30)
    deleted = await site.node.delete_checkpoint(name, "one", durable=True, timeout_s=30)
    assert deleted.deleted


async def test_at_a_terminal(site: Site, cli: Cli) -> None:
    name, copy = site.name(), site.name("copy")
    where, rootfs = f"n1/{name}", ("--rootfs", str(site.world.rootfs))
    ran = await cli("run", "-d", "--checkpointable", *rootfs, where, *COUNTS)
    assert ran.code == 0, ran.err
    ran = await cli("checkpoint", "create", where, "one", "--exit")
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"{where} one ")
    assert "stood still for" in ran.out
    ran = await cli("restore", where, "one")
    assert (ran.code, ran.out.split(",")[0]) == (0, f"{where} run 2"), ran.err
    assert (await cli("checkpoint", "create", where, "two", "--file-locks")).code == 0
    assert (await cli("restore", f"n1/{copy}", "two", "--from", name)).code == 0
    table = (await cli("checkpoints", where)).out.splitlines()
    assert [line.split()[:3] for line in table[1:]] == [[name, "one", "1"], [name, "two", "2"]]
    assert "file-locks" in table[2]
    assert len((await cli("checkpoints", "n1", "--json")).json["checkpoints"]) >= 2
    ran = await cli("checkpoint", "create", where, "two")
    assert ran.code == 1
    assert "already" in ran.err
    ran = await cli("checkpoint", "prune", where, "--keep", "1", "--force")
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"{where} one"), ran.err
    assert (await cli("checkpoint", "rm", where, "two")).out == f"{where} two\n"
    ran = await cli("checkpoint", "rm", where, "two")
    assert (ran.code, ran.out) == (1, "")
    assert "no checkpoint two" in ran.err
    assert "criu" in (await cli("info", "n1")).out


def as_another_version_wrote_it(image: Path) -> None:
    """The same, with a manifest of another format, digested as it is."""
    manifest = image / "manifest.json"
    data = manifest.read_bytes().replace(b'"format": 2', b'"format": 1')
    manifest.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (image / "manifest.sha256").write_text(f"{digest}  manifest.json\n")


async def test_prune_leaves_alone_what_another_version_wrote(site: Site, cli: Cli) -> None:
    name = await site.run(COUNTS, checkpointable=True)
    for checkpoint in ("old", "cut", "new"):
        await site.node.checkpoint(name, checkpoint)
    incarnation = (await site.node.inspect(name)).incarnation
    images = site.agent.folder / "state" / "checkpoints" / incarnation.lower()
    as_another_version_wrote_it(images / "old")
    (images / "cut" / "manifest.sha256").unlink()
    listed = {each.checkpoint: each for each in (await site.node.checkpoints(name)).checkpoints}
    assert [each.other_format for each in listed.values()].count(1) == 1
    assert listed["old"].broken is not None and "this agent reads format 2" in listed["old"].broken
    table = (await cli("checkpoints", f"n1/{name}")).out
    assert "FORMAT 1" in table and table.count("BROKEN") == 1
    ran = await cli("checkpoint", "prune", f"n1/{name}", "--force")
    gone = {line.split()[1] for line in ran.out.splitlines()[:-1]}
    assert (ran.code, gone) == (0, {"cut", "new"}), ran.err
    assert f"old of {incarnation} is left alone: the image's manifest has format 1" in ran.err
    assert [path.name for path in images.iterdir()] == ["old"]
    document = (await cli("checkpoint", "prune", f"n1/{name}", "-f", "--json")).json
    assert (document["removed"], len(document["other_format"])) == ([], 1)
    refused = await cli("restore", f"n1/{site.name()}", "old", "--from", name)
    assert (refused.code, "this agent reads format 2" in refused.err) == (1, True)
    assert (await cli("checkpoint", "rm", f"n1/{name}", "old")).code == 0


async def test_a_full_quota_is_told_at_once(own: Site) -> None:
    """Not tried again and again until the patience of whoever asked ends. What counts is what is
    in an image: not the files that the kernel keeps in memory for a container."""
    own.agent.write_config("\n[checkpoints]\nmax_mib = 4\n")
    await start(own.agent)
    await own.listed()
    cues, large = own.cues(), "head -c 12000000 /dev/zero >"

    async def asked(file: str) -> tuple[str, Ran]:
        script = f"{large}{file}; {COUNTS[-1]}"
        name = await own.run((*COUNTS[:-1], script), checkpointable=True, mounts=[cues.mount])
        await (await Counting.of(own, name)).further(1)
        words = ("checkpoint", "create", f"{own.agent.name}/{name}", "one")
        return name, await bounded(typed(own.world.url, *words), "the answer")

    _, ran = await asked(f"{TARGET}/large")
    assert ran.code == 0, ran.err
    name, ran = await asked("/large")
    assert (ran.code, "its quota is 4194304" in ran.err) == (1, True), ran.err
    failed = await own.told.event(name, "checkpoint-failed")
    assert failed.data["error"]["code"] == "busy"
    assert not (await own.node.checkpoints(name)).checkpoints
    counting = await Counting.of(own, name)
    await counting.further(1, len(counting.logged()) + 3)
    await own.clear()
    await stop(own.agent)


async def test_without_a_criu_that_works_nothing_else_suffers(own: Site, tmp_path: Path) -> None:
    broken_criu(tmp_path / "bin")
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    await start(own.agent, PATH=path)
    await own.listed()
    info = await own.node.info()
    assert info.criu is not None
    assert not info.criu.usable
    assert "vDSO" in info.criu.says
    with pytest.raises(Unsupported, match=r"cannot checkpoint: .*Unexpected rt vDSO area bounds"):
        await own.run(checkpointable=True)
    plain = await own.run()
    with pytest.raises(Unsupported):
        await own.node.checkpoint(plain, "one")
    await own.node.stop(plain, grace_s=0)
    with pytest.raises(Unsupported, match=r"cannot restore: .*vDSO"):
        await own.node.restore(plain, "one")
    assert not (await own.node.checkpoints()).checkpoints
    await own.node.delete(plain)
    await stop(own.agent)
