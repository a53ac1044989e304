"""The node runs out of something: new work is refused, and what runs is told to its end."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.chaos.processes import monitor_of, over, pid_of, stopped
from tests.chaos.published import wanting_of
from tests.integration.client_kit import opened_bus
from tests.integration.raw import run_once
from tests.integration.world import Site, World, kill, open_site, start, stop
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import CMD
from wharfside_protocol.errors import Busy
from wharfside_protocol.times import from_timestamp

DISK = "\n[disk]\nreserve_mib = 1\n"
SIZE = "12m"


@pytest.fixture
def small(world: World) -> Iterator[AgentProcess]:
    """A node whose state_dir is a small disk of its own."""
    with world.agent(world.new_name("small")) as agent:
        agent.write_config(DISK)
        state = agent.folder / "state"
        state.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(state)]
        subprocess.run(words, check=True, timeout=60)
        try:
            yield agent
            if agent.process is not None and agent.process.poll() is None:
                agent.kill()
        finally:
            subprocess.run(["umount", "--lazy", str(state)], check=True, timeout=60)


@asynccontextmanager
async def running(world: World, agent: AgentProcess) -> AsyncIterator[Site]:
    await start(agent)
    async with open_site(world, agent) as site:
        await site.listed()
        yield site
    assert await stop(agent) == 0


def fill(agent: AgentProcess) -> Path:
    """Takes every byte that is left."""
    path = agent.folder / "state" / "filler"
    with path.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return path


async def one_more(site: Site) -> None:
    await run_once(site.world.server.url, site.agent.name, site.spec(site.name()))


async def test_a_full_disk(world: World, small: AgentProcess) -> None:
    """Containers run on, ends are told with their code and their time, and then all is well."""
    async with running(world, small) as site:
        (ends, cues), (lives, _) = [await site.run_with_cues() for _ in range(2)]
        filler = fill(small)
        with pytest.raises(Busy, match="disk is full") as refused:
            for _ in range(50):
                await one_more(site)
        assert refused.value.details == {"disk": "full"}
        assert await wanting_of(site.node) == {"disk": "full"}
        # The reserve serves for the end.
        cues.go("5")
        assert (await site.told.exit(ends)).exit_code == 5
        assert (await site.node.inspect(lives)).state == "running"
        await site.node.delete(ends)  # it helps, so it is let in
        filler.unlink()
        await eventually(lambda: _is(site, {}), "there is room again", within_s=20)
        await site.run()
        await site.clear()


async def test_an_end_that_cannot_be_written_is_told_later(
    world: World, small: AgentProcess
) -> None:
    """The reserve is gone, too: tried until it can, once, with its true time."""
    async with running(world, small) as site:
        name, cues = await site.run_with_cues()
        await site.told.event(name, "started")
        monitor = monitor_of(await pid_of(site, name))
        filler = fill(small)
        reserve = small.folder / "state" / "reserve"
        with stopped(small):  # else it may fill its reserve up again in between
            os.truncate(reserve, 0)
            fill(small)
        begun = time.time_ns()
        cues.go("6")
        await over(monitor.pid)
        await asyncio.to_thread(small.wait_for_log, "tried-again-later")
        seen = time.time_ns()
        assert await wanting_of(site.node) == {"disk": "full"}
        await asyncio.sleep(1)
        assert site.told.types(name) == ["created", "started"]
        filler.unlink()
        exit_ = await site.told.exit(name)
        assert exit_.exit_code == 6
        assert begun - 10**7 <= from_timestamp(exit_.exited_at) <= seen
        await eventually(lambda: _is(site, {}), "there is room again", within_s=20)
        await site.node.delete(name)
        await site.told.event(name, "deleted")
        assert site.told.types(name) == ["created", "started", "exited", "deleted"]


async def test_letters_wait_in_the_stream_while_the_disk_is_full(
    world: World, small: AgentProcess
) -> None:
    """Fetched, they could not be stored: each try would be one of the few deliveries they have."""
    async with running(world, small) as site:
        await site.fleet.setup.add_node(small.name)
        await eventually(lambda: _mailbox(site, "ok"), "it has its mailbox", within_s=20)
        filler = fill(small)
        await eventually(lambda: _is_full(site), "it is noticed", within_s=20)
        paused = await asyncio.to_thread(small.wait_for_log, "mailbox-pauses")
        assert paused["because"] == {"disk": "full"}
        async with await site.node.post("run", site.spec(site.name())) as posted:
            told = await eventually(lambda: pending(site), "it waits in the stream")
            assert (told["num_pending"], told["num_ack_pending"]) == (1, 0)
            filler.unlink()
            assert (await posted.result(20)).ok
        assert (await consumer_of(site))["num_redelivered"] == 0
        await site.clear()


async def consumer_of(site: Site) -> dict[str, int]:
    async with opened_bus(site.world.server.url) as bus:
        return await JetStream(bus).api(f"CONSUMER.INFO.{CMD}.{site.agent.name}")


async def pending(site: Site) -> dict[str, int] | None:
    """The consumer, once it knows of a letter: a moment after its PubAck."""
    told = await consumer_of(site)
    return told if told["num_pending"] + told["num_ack_pending"] else None


async def _mailbox(site: Site, state: str) -> bool:
    return (await site.node.info()).mailbox == state


async def _is_full(site: Site) -> bool:
    """What is refused shows it, before anything else is written."""
    try:
        await one_more(site)
    except Busy:
        return await wanting_of(site.node) == {"disk": "full"}
    return False


async def test_started_on_a_full_disk(world: World, small: AgentProcess) -> None:
    """What the reserve still has lets it begin; without, it says what is wrong."""
    async with running(world, small) as site:
        name, cues = await site.run_with_cues()
        await kill(small)
        filler = fill(small)
        await start(small)
        assert (await wanting_of(site.node))["disk"] == "full"
        cues.go("4")
        assert (await site.told.exit(name)).exit_code == 4
        filler.unlink()
        await eventually(lambda: _is(site, {}), "there is room again", within_s=20)
        await site.node.delete(name)


async def _is(site: Site, wanted: dict[str, str]) -> bool:
    return await wanting_of(site.node) == wanted


async def least_used(agent: AgentProcess) -> int:
    """Descriptors that it has for good: a look at the machine has some more for a moment."""
    counts = []
    for _ in range(20):
        counts.append(len(list(Path(f"/proc/{agent.pid}/fd").iterdir())))
        await asyncio.sleep(0.02)
    return min(counts)


async def test_too_many_open_files(world: World) -> None:
    """Refused with what to do; ends are told all the same; and it recovers."""
    with world.agent(world.new_name("tight")) as agent:
        async with running(world, agent) as site:
            running_ones = [await site.run_with_cues() for _ in range(4)]
            used = await least_used(agent)
            _soft, hard = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (used + 8, hard))
            with pytest.raises(Busy, match="file descriptors") as refused:
                await one_more(site)
            assert refused.value.details == {"descriptors": "none"}
            for code, (name, cues) in enumerate(running_ones[:2]):
                cues.go(str(code))
                assert (await site.told.exit(name)).exit_code == code
            # None at all: an end waits until one is free.
            name, cues = running_ones[2]
            monitor = monitor_of(await pid_of(site, name))
            resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (3, hard))
            cues.go("7")
            await over(monitor.pid)
            assert (await site.node.ping()).node == agent.name
            assert site.told.types(name) == ["created", "started"]
            resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (hard, hard))
            assert (await site.told.exit(name)).exit_code == 7
            await site.run()
            await site.clear()
