"""Who is looked at, what is told of whom, and what becomes of one that ends meanwhile."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import pytest

from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.ports.runtime import RunPlan
from wharfside_agent.runtime.fake import FakeRuntime
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.life.pressure import PressureTeller
from wharfside_agent.store.opening import open_store
from wharfside_agent.store.writer import SqliteStore
from wharfside_protocol.codec import convert, decode
from wharfside_protocol.event_facts import PressureOn, PressurePhase, UnderPressure
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.specs import ContainerSpec, Limits, ProcessSpec, Source
from wharfside_protocol.states import ContainerState
from wharfside_protocol.stats import Pressure, PressureLine

SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND
LIMIT = 64 << 20
BEGINS, LASTS, OVER = PressurePhase.BEGINS, PressurePhase.LASTS, PressurePhase.OVER


class Ground:
    """The clock and the kernel's totals, as the test sets them; ports.clock and ports.pressure."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.totals: dict[tuple[str, PressureOn], int] = {}
        self.rule: Mapping[PressureOn, float] = {}
        self.reads = 0

    def now(self) -> int:
        return NOW + self.boottime()

    def boottime(self) -> int:
        return int(self.at_s * SECOND)

    def listen(self, shares: Mapping[PressureOn, float]) -> None:
        self.rule = shares

    async def rung(self, timeout_s: float) -> bool:
        raise AssertionError("the test looks by itself")

    def take(self) -> bool:
        return False

    def read(self, cgroup: str, resource: PressureOn) -> Pressure | None:
        self.reads += 1
        total = self.totals.get((cgroup, resource))
        return None if total is None else Pressure(some=PressureLine(total_us=total))

    def close(self) -> None: ...


class Site:
    """A teller over containers of the fake runtime."""

    def __init__(self, store: SqliteStore) -> None:
        self.ground = Ground()
        self.store = store
        self.containers = Containers(store, self.ground)
        shares = {PressureOn.MEMORY: 0.15, PressureOn.IO: 0.0, PressureOn.CPU: 0.9}
        self.teller = PressureTeller(self.containers, self.ground, self.ground, shares, 30.0)

    async def container(
        self, name: str, state: ContainerState = ContainerState.RUNNING, number: int = 0
    ) -> Live:
        limits = Limits(memory_bytes=LIMIT)
        process = ProcessSpec(args=["sleep"])
        spec = ContainerSpec(source=Source(rootfs="/r"), process=process, limits=limits)
        row = ContainerRow(
            name=name,
            incarnation=f"01JD00000000000000000000{number:02}",
            run=1,
            revision=1,
            state=state,
            spec=spec,
            runtime="fake",
            bundle="/b",
            cgroup="/c",
            created_at=NOW,
        )
        plan = RunPlan(name, row.incarnation, 1, spec, "fake")
        live = Live(row, {}, await FakeRuntime().create(plan))
        self.containers.add(live)
        return live

    async def passes(self, seconds: float, *stalled: tuple[Live, PressureOn, float]) -> None:
        """Time, in which these stalled for a share of it; then a look."""
        self.ground.at_s += seconds
        for live, resource, share in stalled:
            assert live.handle is not None
            key = live.handle.cgroup, resource
            more = int(share * seconds * 1_000_000)
            self.ground.totals[key] = self.ground.totals.get(key, 0) + more
        await self.teller.look()

    async def told(self) -> list[Event]:
        rows = await self.store.transact(lambda tx: tx.outbox(0, 1000))
        events = [decode(row.event, Event) for row in rows]
        return [event for event in events if event.type is EventType.PRESSURE]

    async def phases(self) -> list[tuple[str | None, str]]:
        return [(event.container, event.data["phase"]) for event in await self.told()]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", NOW, reserve_bytes=4096)
    yield Site(store)
    await store.close()


MEMORY, IO, CPU = PressureOn.MEMORY, PressureOn.IO, PressureOn.CPU


async def test_of_two_only_the_one_that_stalls_is_told_with_its_figures(site: Site) -> None:
    web, idle = await site.container("web"), await site.container("idle", number=1)
    await site.passes(2, (web, MEMORY, 0.1), (idle, MEMORY, 0.0))
    await site.passes(2, (web, MEMORY, 0.5), (idle, MEMORY, 0.1))
    (event,) = await site.told()
    assert (event.container, event.incarnation, event.run) == ("web", web.row.incarnation, 1)
    facts = convert(event.data, UnderPressure)
    assert (facts.resource, facts.phase) == (MEMORY, BEGINS)
    assert (facts.stalled_us, facts.window_us) == (1_000_000, 2_000_000)
    assert facts.figures and facts.figures.some.total_us == 1_200_000
    assert facts.memory_limit_bytes == LIMIT and facts.memory_bytes is not None


async def test_each_resource_has_its_own_threshold_and_one_that_is_off_is_not_read(
    site: Site,
) -> None:
    web = await site.container("web")
    assert site.ground.rule == {MEMORY: 0.15, CPU: 0.9}
    for _ in range(2):
        await site.passes(2, (web, MEMORY, 0.0), (web, CPU, 0.8), (web, IO, 1.0))
    assert site.ground.reads == 4
    assert await site.told() == []
    await site.passes(2, (web, CPU, 1.0))
    (event,) = await site.told()
    assert event.data["resource"] == "cpu" and "memory_bytes" not in event.data


async def test_a_thrashing_one_is_told_once_in_so_long_and_when_it_is_over(site: Site) -> None:
    web = await site.container("web")
    for _ in range(61):  # two minutes
        await site.passes(2, (web, MEMORY, 1.0))
    for _ in range(20):
        await site.passes(2)
    told = await site.told()
    assert [event.data["phase"] for event in told] == [BEGINS, *[LASTS] * 4, OVER]
    assert len({event.data["since"] for event in told}) == 1


async def test_new_settings_hold_from_the_next_look_on(site: Site) -> None:
    web = await site.container("web")
    for _ in range(2):
        await site.passes(2, (web, MEMORY, 0.5), (web, IO, 0.5))
    site.teller.listen({MEMORY: 0.0, IO: 0.4, CPU: 0.0}, 10.0)
    assert site.ground.rule == {IO: 0.4}
    for _ in range(6):
        await site.passes(2, (web, MEMORY, 0.5), (web, IO, 0.5))
    told = [(event.data["resource"], event.data["phase"]) for event in await site.told()]
    assert told == [("memory", BEGINS), ("io", BEGINS)]


@pytest.mark.parametrize("state", [ContainerState.CREATED, ContainerState.STOPPED])
async def test_what_does_not_run_is_not_looked_at(site: Site, state: ContainerState) -> None:
    web = await site.container("web", state)
    await site.passes(2, (web, MEMORY, 1.0))
    assert site.ground.reads == 0


async def test_nothing_is_told_of_one_that_has_ended_meanwhile(site: Site) -> None:
    """Its end is being committed while it is looked at: no event of a run follows its exit."""
    web = await site.container("web")
    await site.passes(2, (web, MEMORY, 1.0))
    async with web.commits:
        looking = asyncio.create_task(site.passes(2, (web, MEMORY, 1.0)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not looking.done()
        web.row = msgspec.structs.replace(web.row, state=ContainerState.STOPPED)
    await looking
    assert await site.told() == []


async def test_what_a_full_disk_does_not_take_begins_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the look goes on: the other one's turn comes."""
    web, other = await site.container("web"), await site.container("other", number=1)

    async def refuse(change: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as full:
        full.setattr(site.store, "transact", refuse)
        for _ in range(2):
            await site.passes(2, (web, MEMORY, 1.0), (other, MEMORY, 1.0))
    assert await site.told() == []
    for _ in range(2):
        await site.passes(2, (web, MEMORY, 1.0), (other, MEMORY, 1.0))
    assert await site.phases() == [("web", BEGINS), ("other", BEGINS)]


async def test_the_next_run_begins_anew(site: Site) -> None:
    web = await site.container("web")
    for _ in range(2):
        await site.passes(2, (web, MEMORY, 1.0))
    web.row = msgspec.structs.replace(web.row, run=2)
    await site.passes(2, (web, MEMORY, 1.0))
    await site.passes(2, (web, MEMORY, 1.0))
    assert await site.phases() == [("web", BEGINS), ("web", BEGINS)]


async def test_a_host_without_figures_tells_nothing(site: Site) -> None:
    await site.container("web")
    await site.passes(2)
    await site.passes(2)
    assert site.ground.reads > 0
    assert await site.told() == []


async def test_a_look_at_many_gives_the_loop_to_others(site: Site) -> None:
    for number in range(90):
        live = await site.container(f"c{number}", number=number)
        assert live.handle is not None
        site.ground.totals[live.handle.cgroup, MEMORY] = 0
    slow = site.ground.read

    def read(cgroup: str, resource: PressureOn) -> Pressure | None:
        time.sleep(0.0005)
        return slow(cgroup, resource)

    site.ground.read = read  # type: ignore[method-assign]
    turns = 0
    looking = asyncio.create_task(site.teller.look())
    while not looking.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
