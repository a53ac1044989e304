"""What a node has promised to its containers, and what it may promise still; pure sums.

A promise is a limit: what a container may take, not what it takes. So the sum says what would be
missing were all of them to take it, and it is derived from the rows of containers alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from wharfside_agent.core.policy.limits import Amounts
from wharfside_protocol.errors import Denied
from wharfside_protocol.views import CapacityView, Resources

MIB = 1024 * 1024

Resource = Literal["memory", "cpu", "pids"]
FIELDS: dict[Resource, str] = {"memory": "memory_bytes", "cpu": "cpu_percent", "pids": "pids"}

Whole = Annotated[int, msgspec.Meta(ge=0)]
Factor = Annotated[float, msgspec.Meta(gt=0, le=1000)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Kept(_Table, frozen=True, kw_only=True):
    """MiB, hundredths of a CPU, processes."""

    memory_mib: Whole = 0
    cpu_percent: Whole = 0
    pids: Whole = 0

    @property
    def amounts(self) -> Resources:
        memory = self.memory_mib * MIB
        return Resources(memory_bytes=memory, cpu_percent=self.cpu_percent, pids=self.pids)


class Total(_Table, frozen=True, kw_only=True, omit_defaults=True):
    """What the node has; left out: what the machine has."""

    memory_mib: Whole | None = None
    cpu_percent: Whole | None = None
    pids: Whole | None = None


class Overcommit(_Table, frozen=True, kw_only=True):
    """So many times what is there, less the reserve, may be promised."""

    memory: Factor = 1.0
    cpu: Factor = 1.0
    pids: Factor = 1.0


class Capacity(_Table, frozen=True, kw_only=True):
    """`enforce`: the resources of which no more is promised than there is.

    All of them are told in presence, enforced or not. `reserve`: kept for the host. `unlimited`: as
    what a container without a limit is counted. `containers`: so many at most, stopped ones too.
    """

    enforce: tuple[Resource, ...] = ()
    total: Total = Total()
    reserve: Kept = Kept(memory_mib=256, cpu_percent=10, pids=1024)
    overcommit: Overcommit = Overcommit()
    unlimited: Kept = Kept()
    containers: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def of_machine(self, machine: Resources) -> Resources:
        """What may be promised in all: total less reserve, times the overcommit."""
        given, kept = self.total, self.reserve.amounts
        memory = machine.memory_bytes if given.memory_mib is None else given.memory_mib * MIB
        cpu = machine.cpu_percent if given.cpu_percent is None else given.cpu_percent
        pids = machine.pids if given.pids is None else given.pids
        return Resources(
            memory_bytes=int(max(0, memory - kept.memory_bytes) * self.overcommit.memory),
            cpu_percent=int(max(0, cpu - kept.cpu_percent) * self.overcommit.cpu),
            pids=int(max(0, pids - kept.pids) * self.overcommit.pids),
        )

    def counted(self, limits: Amounts) -> Resources:
        """What a container of these limits is promised."""
        spare = self.unlimited.amounts

        def of(field: str) -> int:
            limit: int | None = getattr(limits, field)
            return getattr(spare, field) if limit is None else limit

        return Resources(**{field: of(field) for field in FIELDS.values()})

    def view(self, machine: Resources, promises: Iterable[Amounts]) -> CapacityView:
        """How it stands."""
        found = list(promises)
        total = self.of_machine(machine)
        promised = summed(self.counted(each) for each in found)
        free = {f: max(0, getattr(total, f) - getattr(promised, f)) for f in FIELDS.values()}
        return CapacityView(
            total=total,
            promised=promised,
            free=Resources(**free),
            enforced=list(self.enforce),
            unlimited=sum(any(getattr(each, f) is None for f in FIELDS.values()) for each in found),
            containers_at_most=self.containers,
        )

    def admit(self, view: CapacityView, wanted: Amounts, had: Amounts | None = None) -> None:
        """`wanted` beside all that `view` has promised; of what it `had` already no more is asked.

        Raises:
            NoCapacity: it is more than is free; it says what is.
        """
        asked = self.counted(wanted)
        before = Resources() if had is None else self.counted(had)
        for resource in self.enforce:
            field = FIELDS[resource]
            want, free = getattr(asked, field), getattr(view.free, field)
            if want > free and want > getattr(before, field):
                raise NoCapacity(resource, want, free, view)


def summed(amounts: Iterable[Resources]) -> Resources:
    found = list(amounts)
    return Resources(**{f: sum(getattr(each, f) for each in found) for f in FIELDS.values()})


class NoCapacity(Denied):
    """The node has promised too much already. Not `busy`: nothing says that it ever changes."""

    def __init__(self, resource: Resource, want: int, free: int, view: CapacityView) -> None:
        of = f"{shown(resource, want)} asked for, {shown(resource, free)} free"
        promised = getattr(view.promised, FIELDS[resource])
        total = getattr(view.total, FIELDS[resource])
        super().__init__(
            f"no room for it here: {resource}: {of} ({shown(resource, promised)} of "
            f"{shown(resource, total)} promised); ask for less, delete containers, or take "
            "another node",
            rule=f"capacity.{resource}",
            wanted=want,
            free=msgspec.structs.asdict(view.free),
        )


class TooMany(Denied):
    """As many containers as the node takes."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"this node has {most} containers, and takes no more (capacity.containers): delete "
            "some, or take another node",
            rule="capacity.containers",
            allowed=str(most),
        )


def shown(resource: Resource, amount: int) -> str:
    """In the units of the settings."""
    match resource:
        case "memory":
            return f"{amount / MIB:.0f} MiB"
        case "cpu":
            return f"{amount / 100:g} CPUs"
    return f"{amount} processes"
