"""What the agent remembers across its own death, and the one way to change it.

A change is a plain function of a transaction. It runs on the writer's thread with
others in one commit: it must not wait, and must not touch the loop. An event and
the state change that it tells are one such function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from wharfside_agent.core.figures import Histogram
from wharfside_agent.ports.rows import (
    Arrival,
    AuditRow,
    CommandRow,
    ContainerRow,
    Departure,
    EventDraft,
    Intent,
    LaneRow,
    OutboxRow,
    ProcessRow,
    ReportRow,
    Row,
    ShipmentRow,
)
from wharfside_protocol.events import EventType

T = TypeVar("T")


class Tx(Protocol):
    """One transaction."""

    def container(self, incarnation: str) -> ContainerRow | None: ...

    def last_of_name(self, name: str) -> ContainerRow | None:
        """The youngest incarnation that bears or bore `name`."""
        ...

    def containers(self) -> list[ContainerRow]:
        """All that are not deleted."""
        ...

    def names(self) -> list[str]:
        """Of all containers, and of the deleted ones that are still remembered."""
        ...

    def save_container(self, row: ContainerRow) -> None: ...

    def processes(self, incarnation: str, run: int) -> list[ProcessRow]: ...

    def save_process(self, row: ProcessRow) -> None: ...

    def retire_run(self, incarnation: str, run: int, now: int) -> None:
        """A newer run begins: the records of this one may go like those of a deleted one."""
        ...

    def intents(self) -> list[Intent]: ...

    def save_intent(self, intent: Intent) -> None: ...

    def close_intent(self, incarnation: str, op: str, process: str | None = None) -> None: ...

    def close_intents(self, incarnation: str, *, but: str | None = None) -> None:
        """All of them: a delete, or another run (`but` its own), ends what was meant before it."""
        ...

    def command(self, command_id: str) -> CommandRow | None: ...

    def save_command(self, row: CommandRow) -> None: ...

    def forget_command(self, command_id: str) -> None:
        """Nothing was done under this id: it may be used again."""
        ...

    def unfinished_commands(self) -> list[CommandRow]:
        """Those that were begun and have no result."""
        ...

    def waiting_commands(self) -> list[CommandRow]:
        """Those that were accepted and not begun, in the order of arrival."""
        ...

    def commands_before(self, place: int | None, limit: int) -> list[tuple[int, CommandRow]]:
        """A page with each one's place, the last to arrive first."""
        ...

    def report(self, row: ReportRow) -> None:
        """Puts a report into its outbox; one that waits there already stays as it is."""
        ...

    def reports(self, after_place: int, limit: int) -> list[ReportRow]: ...

    def forget_report(self, place: int) -> None:
        """Takes a report out of its outbox: it has its PubAck."""
        ...

    def audit(self, row: AuditRow) -> None:
        """Keeps what is to be told; in the transaction of what it tells."""
        ...

    def audits(self, limit: int) -> list[tuple[int, AuditRow]]:
        """What is not told yet, the oldest first, each with its place."""
        ...

    def forget_audits(self, through: int) -> None:
        """Those up to this place are told."""
        ...

    def trim_audits(self, keep: int) -> int:
        """Drops the oldest but for so many; how many."""
        ...

    def shipment(self, incarnation: str, run: int, process: str) -> ShipmentRow | None: ...

    def save_shipment(self, row: ShipmentRow) -> None: ...

    def unfinished_shipments(self) -> list[ShipmentRow]: ...

    def forget_shipments(self, incarnation: str) -> None: ...

    def append_event(self, draft: EventDraft) -> OutboxRow | None:
        """Gives the event its seq and prev_seq and puts it into the outbox.

        None: the outbox is full, and the event is dropped; `tell_dropped` will tell it.
        """
        ...

    def tell_dropped(self, now: int) -> bool:
        """Tells what was dropped, once there is room again; whether it did."""
        ...

    def outbox(self, after_place: int, limit: int) -> list[OutboxRow]: ...

    def save_lane(self, row: LaneRow) -> None: ...

    def last_seq(self, lane: str) -> int:
        """The seq of the youngest event of a lane; 0 where there is none."""
        ...

    def forget_event(self, place: int) -> None:
        """Takes an event out of the outbox: it has its PubAck."""
        ...

    def published_through(self) -> int:
        """Every seq up to this one has been stored by the stream."""
        ...

    def departures(self) -> list[Departure]: ...

    def save_departure(self, row: Departure) -> None: ...

    def arrivals(self) -> list[Arrival]: ...

    def save_arrival(self, row: Arrival) -> None: ...

    def meta(self, key: str) -> str | None: ...

    def set_meta(self, key: str, value: str) -> None: ...

    def prune(self, deleted_before: int, finished_before: int) -> int:
        """Drops terminal records and results that are too old; how many."""
        ...


class Identity(Row, frozen=True, kw_only=True):
    """Who this store belongs to, and which life of it this is.

    `moved`: its file is not the one that it was: restored, or a copy whose original may
    be alive elsewhere. `remembers_since` (ns): of commands before it may know nothing, being
    new or restored then.
    """

    node: str
    node_id: str
    boot_id: str
    epoch: int
    new_store: bool
    new_boot: bool
    moved: bool = False
    remembers_since: int = 0


class OutboxRoom(Protocol):
    """How full the outbox is."""

    @property
    def waiting(self) -> int: ...

    @property
    def dropping(self) -> bool:
        """Events are dropped, and that is not told yet."""
        ...

    @property
    def full(self) -> bool:
        """Begin nothing that will bring terminal events."""
        ...

    def takes(self, type_: EventType) -> bool:
        """Whether an event of this type would be kept now, and not dropped."""
        ...


class DiskReserve(Protocol):
    """Bytes kept back on the disk, for ends to come: `left` of `size`."""

    @property
    def size(self) -> int: ...

    @property
    def left(self) -> int: ...


class Store(Protocol):
    @property
    def identity(self) -> Identity: ...

    async def transact(self, change: Callable[[Tx], T], *, durable: bool = False) -> T:
        """Runs `change` and commits it, together with others that wait.

        With `durable` it is on the disk (fsync) when this returns.

        Raises:
            Busy: too many changes wait; as DiskFull: there is no room on the disk. Nothing
                of it was kept.
            whatever `change` raised: then nothing of it was kept.
        """
        ...

    @property
    def room(self) -> OutboxRoom: ...

    @property
    def reserve(self) -> DiskReserve: ...

    @property
    def commit_seconds(self) -> Mapping[str, Histogram]:
        """How long commits took, on the `loop`, and in the writer's `thread` (with fsync)."""
        ...

    @property
    def disk_full(self) -> bool:
        """The disk is full: finish what is under way, and begin nothing new."""
        ...

    def keep_room(self) -> bool:
        """Takes room for ends to come, once the disk has it; whether it could. In a thread."""
        ...

    def on_appended(self, tell: Callable[[Sequence[OutboxRow]], None]) -> None:
        """`tell` is called on the loop with the events of each commit, in order."""
        ...

    def on_reported(self, tell: Callable[[], None]) -> None:
        """`tell` is called on the loop after each commit with reports."""
        ...

    async def close(self) -> None: ...
