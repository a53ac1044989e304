"""A watch with what it has told, and what its state is compared with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from tests.integration.bounds import BOUND_S, TooLate
from tests.support.eventually import eventually

from wharfside_client import (
    ContainerChanged,
    ContainerGone,
    NodeChanged,
    Place,
    State,
    Watch,
    Wharfside,
)
from wharfside_client.changes import Change
from wharfside_client.folding import alike
from wharfside_protocol.views import ContainerProjection, ContainerView


@dataclass
class Seen:
    """What a watch tells, kept as it comes."""

    watch: Watch
    items: list[Change] = field(default_factory=list)

    async def until(self, wanted: Callable[[Change], bool], what: str) -> Change:
        """The next item that is wanted."""
        try:
            async with asyncio.timeout(BOUND_S):
                async for item in self.watch:
                    self.items.append(item)
                    if wanted(item):
                        return item
        except TimeoutError as error:
            told = "\n  ".join(map(str, self.items))
            raise TooLate(f"{what}: not within {BOUND_S} s; told:\n  {told}") from error
        raise AssertionError("a watch has no end")

    async def next(self) -> Change:
        return await self.until(lambda _: True, "the next item")

    async def first(self) -> State:
        item = await self.next()
        assert isinstance(item, State)
        return item

    async def gone(self, place: Place) -> Change:
        return await self.until(
            lambda each: isinstance(each, ContainerGone) and place_of(each) == place,
            f"{place} gone",
        )

    async def is_(self, place: Place, state: str) -> ContainerChanged:
        """Until the container is told to be in this state."""
        item = await self.until(
            lambda each: place_of(each) == place and word_of(each) == state, f"{place} {state}"
        )
        assert isinstance(item, ContainerChanged)
        return item

    async def node(self, name: str, *, silent: bool) -> NodeChanged:
        item = await self.until(
            lambda each: (
                isinstance(each, NodeChanged) and (each.new.node, each.new.silent) == (name, silent)
            ),
            f"{name} {'silent' if silent else 'heard'}",
        )
        assert isinstance(item, NodeChanged)
        return item

    def of(self, place: Place) -> list[str]:
        """The states that this container was told to have, in order."""
        return [word_of(each) for each in self.items if place_of(each) == place]

    def check_each_once(self) -> None:
        """Every change has its event, each event at most one change, in the stream's order.

        That a forced delete is under way (`stopping`) no event tells, but the projection may.
        """
        told = [each for each in self.items if isinstance(each, ContainerChanged | ContainerGone)]
        without = [each for each in told if each.event is None and not _only_stopping(each)]
        assert not without, f"told without an event: {without}"
        told = [each for each in told if each.event is not None]
        seqs = [each.seq for each in told]
        assert seqs == sorted(set(seqs))  # type: ignore[type-var]
        last: dict[Place, ContainerProjection | None] = {}
        for each in told:
            place = place_of(each)
            assert place is not None
            known = last.get(place, each.old)
            same = known is None or each.old is None
            assert known is each.old if same else _alike(known, each.old), "told as it was told"
            last[place] = each.new if isinstance(each, ContainerChanged) else None


def place_of(item: Change) -> Place | None:
    match item:
        case ContainerChanged(new=view) | ContainerGone(old=view):
            return Place(view.node, view.container)
    return None


def word_of(item: Change) -> str:
    if not isinstance(item, ContainerChanged):
        return "gone"
    return f"{item.new.state}{' stopping' if item.new.stopping else ''}"


def _alike(one: ContainerProjection, other: ContainerProjection) -> bool:
    return alike(one, msgspec.structs.replace(other, stopping=one.stopping))


def _only_stopping(item: ContainerChanged | ContainerGone) -> bool:
    return (
        isinstance(item, ContainerChanged) and item.old is not None and _alike(item.old, item.new)
    )


def essence(view: ContainerProjection | ContainerView) -> tuple[object, ...]:
    """What a list of the node and a folded state must have in common."""
    return (
        view.incarnation,
        view.run,
        view.revision,
        view.state,
        view.stopping,
        view.pid,
        view.started_at,
        view.exit,
        tuple(sorted(view.labels.items())),
    )


async def listed(fleet: Wharfside, *nodes: str) -> dict[Place, tuple[object, ...]]:
    return {
        Place(name, view.container): essence(view)
        for name in nodes
        for view in await fleet.node(name).list(all=True)
    }


def folded(watch: Watch, *nodes: str) -> dict[Place, tuple[object, ...]]:
    containers = watch.state.containers
    return {place: essence(view) for place, view in containers.items() if place.node in nodes}


async def same_as_listed(fleet: Wharfside, watch: Watch, *nodes: str) -> None:
    """The folded state is what the nodes themselves say; nobody may change anything meanwhile."""
    assert folded(watch, *nodes) == await listed(fleet, *nodes)


async def comes_to_be_as_listed(fleet: Wharfside, seen: Seen, *nodes: str) -> None:
    """As `same_as_listed`, once what is under way has come.

    With its token: the first state is read from buckets, and may be ahead of that.
    """

    async def follow() -> None:
        async for item in seen.watch:
            seen.items.append(item)

    last = max([seq async for seq, _event in fleet.history(0)], default=0)
    following = asyncio.create_task(follow())

    async def same() -> bool:
        come = seen.watch.seq >= last
        return come and folded(seen.watch, *nodes) == await listed(fleet, *nodes)

    try:
        await eventually(same, "the folded state to be the nodes' own", within_s=BOUND_S)
    finally:
        following.cancel()
        await asyncio.wait({following})
