"""Two ends of a migration over a real server, with real stores and images, and played containers.

A side can be killed at any moment: what it had in memory is gone, and the next life has its store
and its disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from tests.integration.bounds import bounded
from tests.integration.bus_kit import Kit, open_bus
from tests.unit.images.kit import FILES, INCARNATION, fill, manifest

from wharfside_agent.bus.mailbox import NatsMailbox
from wharfside_agent.core.migration import Source, Target
from wharfside_agent.host import SystemClock
from wharfside_agent.images.disk import DiskImages
from wharfside_agent.ports.images import Image
from wharfside_agent.ports.rows import Arrival, Departure
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.insistence import Insistence
from wharfside_agent.services.migration.arrivals import Arrivals, expiry
from wharfside_agent.services.migration.carriage import Carriage
from wharfside_agent.services.migration.departures import Departures
from wharfside_agent.services.migration.means import Means
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.store.opening import open_store
from wharfside_protocol.assets import CKPT
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.errors import RuntimeFailed
from wharfside_protocol.specs import ContainerSpec, ProcessSpec
from wharfside_protocol.specs import Source as Files
from wharfside_protocol.subjects import Subjects

SPEC = ContainerSpec(source=Files(rootfs="/rootfs"), process=ProcessSpec(args=["a"]))
MIGRATION = "migration-1"


@dataclass
class Truth:
    """The machine's own: what runs where, whatever the agents know. It never runs twice."""

    a_runs: bool = True
    b_runs: bool = False
    b_refuses: bool = False
    a_refuses: bool = False
    deleted: bool = False
    log: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        self.log.append(what)
        assert not (self.a_runs and self.b_runs), self.log


@dataclass
class PlayedLeaving:
    truth: Truth
    images: DiskImages
    size: int

    async def dump(self, row: Departure) -> tuple[int, int]:
        draft = await self.images.draft(INCARNATION, row.checkpoint)
        fill(
            draft.folder, FILES | {"checkpoint/pages-9.img": bytes(range(256)) * (self.size // 256)}
        )
        image = await draft.finish(manifest(row.checkpoint, spec=SPEC))
        self.truth.a_runs = False
        self.truth.note("dumped")
        return 1, image.bytes

    async def dumped(self, row: Departure) -> tuple[int, int] | None:
        if self.truth.a_runs:
            return None
        return 1, (await self.images.open(INCARNATION, row.checkpoint)).bytes

    async def delete(self, row: Departure) -> None:
        self.truth.deleted = True
        await self.images.delete(INCARNATION, row.checkpoint)

    async def revive(self, row: Departure) -> None:
        if self.truth.a_refuses:
            raise RuntimeFailed("CRIU says no")
        self.truth.a_runs = True
        self.truth.note("revived")

    async def stays(self, row: Departure) -> None:
        self.truth.note("stays")

    def lives(self, row: Departure) -> bool:
        return self.truth.a_runs


@dataclass
class PlayedComing:
    truth: Truth
    store: Store
    pause: asyncio.Event

    async def fits(self, row: Arrival, image: Image) -> None:
        if image.manifest.spec != row.spec:
            raise RuntimeFailed("another container")

    async def restore(self, row: Arrival) -> Arrival:
        self.truth.note("restoring")
        await self.pause.wait()
        if self.truth.b_refuses:
            raise RuntimeFailed("CRIU says no")
        self.truth.b_runs = True
        self.truth.note("restored")
        return msgspec.structs.replace(row, incarnation=INCARNATION, run=1)

    async def found(self, row: Arrival) -> Arrival | None:
        if not self.truth.b_runs:
            return None
        return msgspec.structs.replace(row, incarnation=INCARNATION, run=1)

    async def end(self, row: Arrival) -> None:
        self.truth.b_runs = False
        self.truth.note("ended at B")


@dataclass
class Side:
    """One node. `kill` and `start` as often as wanted."""

    name: str
    url: str
    folder: Path
    truth: Truth
    size: int = 100_000
    deaf: bool = False
    restores: asyncio.Event = field(default_factory=asyncio.Event)
    reached: list[Source | Target] = field(default_factory=list)
    on_reached: Callable[[Source | Target], None] | None = None
    _stack: AsyncExitStack | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        clock = SystemClock()
        self._stack = AsyncExitStack()
        self.folder.mkdir(exist_ok=True)
        self.store = open_store(
            self.folder / "store.sqlite", self.name, "boot", clock.now(), max_events=100
        )
        self._stack.push_async_callback(self.store.close)
        self.images = DiskImages(self.folder / "images", kept_free=0)
        self._stack.callback(self.images.close)
        self.tasks = Tasks()
        mailboxes: list[NatsMailbox] = []

        def prepare(kit: Kit) -> None:
            mailboxes.append(NatsMailbox(kit.bus, self.name, CKPT))
            subjects, insistence = Subjects(), Insistence(kit.bus)
            self.carriage = Carriage(mailboxes[0], kit.bus, subjects, self.name, insistence)
            leaving = PlayedLeaving(self.truth, self.images, self.size)
            means = Means(self.store, self.carriage, self.images, clock, self.tasks)
            self.departures = Departures(means, leaving, self._reached)
            coming = PlayedComing(self.truth, self.store, self.restores)
            self.arrivals = Arrivals(means, coming, kit.bus, self._reached)

        self.kit = await self._stack.enter_async_context(
            open_bus(self.url, prepare=prepare, unanswered_s=600.0)
        )
        self._stack.push_async_callback(self.tasks.close, 1.0)
        self.carriage.hear(self.arrivals.hear, self.departures.hear)
        await self.departures.load()
        await self.arrivals.load()
        await self.images.clear_drafts(keep=[row.id for row in self.arrivals.rows])
        self.departures.resume()
        self.arrivals.resume()
        self.ears: asyncio.Task[None] | None = None
        if not self.deaf:
            self.listen()
        self.tasks.start(self.arrivals.run(), "arrivals")

    def listen(self) -> None:
        self.ears = self.tasks.start(self.carriage.run(), "carriage")

    async def kill(self) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            await self.tasks.close(1.0)
            self.arrivals.close()
            await stack.aclose()

    async def again(self) -> None:
        await self.kill()
        await self.start()

    async def until(self, seen: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
        """Waits for what is true once some state is reached, in this life or a next one."""

        async def come() -> None:
            while not seen():
                self._news.clear()
                await self._news.wait()

        await bounded(come(), f"{self.name}: {what}", within_s)

    def _reached(self, state: Source | Target) -> None:
        self.reached.append(state)
        self._news.set()
        if self.on_reached is not None:
            self.on_reached(state)


@dataclass
class Move:
    """`a` sends to `b`."""

    a: Side
    b: Side
    truth: Truth

    async def expect(self, **others: object) -> None:
        now = SystemClock().now()
        facts: dict[str, object] = {
            "id": MIGRATION,
            "state": Target.EXPECTING,
            "container": "web",
            "source": self.a.name,
            "source_id": self.a.store.identity.node_id,
            "begun_at": now,
            "expires_at": expiry(now, 60),
            "spec": SPEC,
        } | others
        await self.b.arrivals.expect(Arrival(**facts))  # type: ignore[arg-type]

    async def depart(self) -> None:
        row = Departure(
            id=MIGRATION,
            state=Source.DUMPING,
            container="web",
            incarnation=INCARNATION,
            run=1,
            checkpoint="move",
            target=self.b.name,
            target_id=self.b.store.identity.node_id,
            name="web",
            begun_at=SystemClock().now(),
            flags=CheckpointFlags(exit=True),
        )

        def save(tx: Tx) -> None:
            tx.save_departure(row)

        await self.a.store.transact(save)
        self.a.departures.begin(row)

    async def over(self, within_s: float = 60.0) -> Departure:
        """A's row once it is over; A may be restarted meanwhile."""
        async with asyncio.timeout(within_s):
            return await asyncio.shield(self.a.departures.outcome(MIGRATION))

    async def settled(self, state: Target, within_s: float = 60.0) -> Arrival:
        await self.b.until(
            lambda: self.b.arrivals.get(MIGRATION).state is state, str(state), within_s
        )
        return self.b.arrivals.get(MIGRATION)


@asynccontextmanager
async def open_move(url: str, folder: Path, size: int = 100_000) -> AsyncIterator[Move]:
    truth = Truth()
    a, b = (Side(name, url, folder / name, truth, size) for name in ("node-a", "node-b"))
    b.restores.set()
    await a.start()
    await b.start()
    try:
        yield Move(a, b, truth)
    finally:
        await a.kill()
        await b.kill()
