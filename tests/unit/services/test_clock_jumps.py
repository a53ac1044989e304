"""The wall clock is set back in the middle: times keep their order, and nothing is told twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from wharfside_agent.core.exit_status import Ended, interpret
from wharfside_agent.core.sequencing import SendAgain, Stored, after_wrong_sequence
from wharfside_agent.ports.bus import Bus, WrongSequence
from wharfside_agent.ports.rows import ContainerRow, EventDraft
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.services.telling.publisher import Publisher
from wharfside_agent.store.opening import open_store
from wharfside_protocol.codec import decode
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.exits import StatusSource
from wharfside_protocol.specs import ContainerSpec, Source
from wharfside_protocol.states import ContainerState
from wharfside_protocol.subjects import Subjects

HOUR = 3600 * 1_000_000_000
NOW = 1_800_000_000 * 1_000_000_000


class SetClock:
    """ports.clock.Clock, set by the test."""

    def __init__(self) -> None:
        self.wall = NOW
        self.boot = 0

    def now(self) -> int:
        return self.wall

    def boottime(self) -> int:
        return self.boot


def row() -> ContainerRow:
    return ContainerRow(
        name="web",
        incarnation="01JD0000000000000000000000",
        run=1,
        revision=1,
        state=ContainerState.RUNNING,
        spec=ContainerSpec(source=Source(rootfs="/rootfs")),
        runtime="crun",
        bundle="/b",
        cgroup="/c",
        created_at=NOW,
    )


async def test_nothing_is_observed_before_it_occurred(tmp_path: Path) -> None:
    """An end that was seen before the clock was set back occurred, by it, in the future."""
    clock = SetClock()
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", NOW, reserve_bytes=4096)
    containers = Containers(store, clock)
    seen_at = clock.now()
    clock.wall -= HOUR
    draft = containers.draft(row(), EventType.EXITED, occurred_at=seen_at)
    await store.close()
    assert draft.occurred_at == draft.observed_at == NOW - HOUR


def test_a_life_is_never_shorter_than_nothing() -> None:
    ended = Ended(wait_status=0, exit_file=0, source=StatusSource.WAIT, exited_at=NOW - HOUR)
    told = interpret(
        ended,
        end_asked=None,
        oom_kills_added=0,
        started_at=NOW,
        memory_peak_bytes=None,
        cpu_us=None,
    )
    assert told.duration_us == 0


def test_an_event_from_the_future_is_not_taken_for_young() -> None:
    """Its id may be forgotten: what is stored on top of it decides, and it is not told twice."""
    assert after_wrong_sequence(5, 6, age_ns=-HOUR) == Stored(6)
    assert after_wrong_sequence(5, 4, age_ns=-HOUR) == SendAgain(4)


async def test_an_epoch_rises_all_the_same(tmp_path: Path) -> None:
    """Booted with a clock that is years behind."""
    store = open_store(tmp_path / "s.sqlite", "n1", "boot-1", NOW, reserve_bytes=4096)
    first = store.identity.epoch
    await store.transact(
        lambda tx: tx.append_event(EventDraft(type=EventType.UP, occurred_at=NOW, observed_at=NOW))
    )
    await store.close()
    store = open_store(tmp_path / "s.sqlite", "n1", "boot-2", HOUR, reserve_bytes=4096)
    assert store.identity.epoch == first + 1
    await store.close()


class Recorder:
    """ports.bus.Bus, of which only `publish` is asked here."""

    connected = True

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.came = asyncio.Event()

    def on_connected(self, tell: object) -> None:
        pass

    async def publish(self, _subject: str, payload: bytes, **options: object) -> int:
        if options.get("message_id") is None:  # a probe for the lane's place
            raise WrongSequence(0)
        self.payloads.append(payload)
        self.came.set()
        return 1


async def test_nothing_is_published_before_it_was_observed(tmp_path: Path) -> None:
    """It waited in the outbox while the clock was set back."""
    clock, bus, tasks = SetClock(), Recorder(), Tasks()
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", NOW, reserve_bytes=4096)
    draft = EventDraft(type=EventType.UP, occurred_at=NOW, observed_at=NOW)
    await store.transact(lambda tx: tx.append_event(draft))
    clock.wall -= HOUR
    publisher = Publisher(store, cast(Bus, bus), Subjects(), clock, tasks)
    await publisher.start()
    await asyncio.wait_for(bus.came.wait(), 20)
    (told,) = (decode(payload, Event) for payload in bus.payloads)
    assert told.published_at == told.observed_at == told.occurred_at
    await publisher.flush(1)
    await tasks.close()
    await store.close()
