"""Containers whose tasks stall: told in time, seldom, and only of those that do."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from tests.integration.fifos import shell
from tests.integration.thrashing import LIMIT, thrashing
from tests.integration.world import Site, World, open_site
from tests.support.agent import AgentProcess
from tests.support.requirements import requires

from wharfside_client.cli.eventlines import event_words
from wharfside_protocol.codec import convert
from wharfside_protocol.event_facts import PressureOn, PressurePhase, UnderPressure
from wharfside_protocol.events import Event
from wharfside_protocol.specs import Limits
from wharfside_protocol.times import NANOSECONDS, from_timestamp

pytestmark = requires("psi")

AGAIN_S = 10
WITHIN_S = 90.0


@pytest.fixture
async def quick(world: World) -> AsyncIterator[Site]:
    """An agent that tells a lasting one as often as it may be told to."""
    settings = f"\n[pressure]\nagain_s = {AGAIN_S}\n"
    with world.running(world.new_name("node"), settings) as agent:
        async with open_site(world, agent) as site:
            await site.listed()
            yield site
            await site.clear()


async def told_of(site: Site, name: str, phase: PressurePhase) -> Event:
    def wanted(event: Event) -> bool:
        return (event.container, event.type) == (name, "pressure") and event.data["phase"] == phase

    return await site.told.until(wanted, f"{name} {phase}", within_s=WITHIN_S)


def facts_of(event: Event) -> UnderPressure:
    return convert(event.data, UnderPressure)


async def test_one_that_thrashes_is_told_seldom_and_one_that_idles_never(quick: Site) -> None:
    site, cues = quick, quick.cues()
    idle = await site.run(limits=Limits(memory_bytes=LIMIT))
    name = await thrashing(site, cues)
    begins = await told_of(site, name, PressurePhase.BEGINS)
    told = facts_of(begins)
    assert told.resource is PressureOn.MEMORY
    assert 0.15 <= told.stalled_us / told.window_us <= 1
    assert told.figures and told.figures.some.total_us >= told.stalled_us
    assert told.memory_limit_bytes == LIMIT
    assert told.memory_bytes and LIMIT // 2 < told.memory_bytes <= LIMIT
    assert event_words(begins)[3].startswith("stalls on memory, ")
    lasts = facts_of(await told_of(site, name, PressurePhase.LASTS))
    assert lasts.window_us >= AGAIN_S * 1_000_000
    cues.go()
    over = facts_of(await told_of(site, name, PressurePhase.OVER))
    assert told.since == lasts.since == over.since
    cues.go("3")
    assert (await site.told.exit(name)).exit_code == 3
    assert "pressure" not in site.told.types(idle)
    assert_seldom([event for event in site.told.of(name) if event.type == "pressure"])


def assert_seldom(events: list[Event]) -> None:
    at = [from_timestamp(event.observed_at) / NANOSECONDS for event in events]
    apart = [later - before for before, later in itertools.pairwise(at)]
    assert len(apart) >= 2
    assert min(apart) > AGAIN_S - 0.5


@requires("cgroup-v1", "unshare")
async def test_a_host_that_cannot_tell_tells_nothing(own_agent: AgentProcess, own: Site) -> None:
    """Without the tree of version 2, as of a host that has never mounted it."""
    without = 'umount -l /sys/fs/cgroup/unified && exec "$0" "$@"'
    own_agent.within = ("unshare", "--mount", "sh", "-c", without)
    own_agent.start(until="no-pressure-events")
    own_agent.wait_for_log("bus-connected")
    name = await own.run(shell("exit 4"))
    assert (await own.told.exit(name)).exit_code == 4
    await own.node.delete(name)
    assert own_agent.stop() == 0
