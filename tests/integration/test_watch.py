"""The watch over real agents: the whole state, then every change, whatever the bus does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.integration.bounds import BOUND_S, TooLate
from tests.integration.world import Site, World

from wharfside_client import (
    ContainerChanged,
    ContainerGone,
    Place,
    State,
    Watch,
    Wharfside,
)
from wharfside_client.changes import Change


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

    async def gone(self, place: Place) -> None:
        await self.until(
            lambda each: isinstance(each, ContainerGone) and _place(each) == place, f"{place} gone"
        )

    async def first(self) -> State:
        item = await self.until(lambda _: True, "the state")
        assert isinstance(item, State)
        return item

    def of(self, place: Place) -> list[str]:
        """The states that this container was told to have, in order."""
        return [_word(each) for each in self.items if _place(each) == place]


def _place(item: Change) -> Place | None:
    match item:
        case ContainerChanged(new=view) | ContainerGone(old=view):
            return Place(view.node, view.container)
    return None


def _word(item: Change) -> str:
    if isinstance(item, ContainerGone):
        return "gone"
    assert isinstance(item, ContainerChanged)
    assert item.event is not None, f"told without its event: {item}"
    return f"{item.new.state}{' stopping' if item.new.stopping else ''}"


async def same_as_listed(fleet: Wharfside, watch: Watch, *nodes: str) -> None:
    """The folded state is what the nodes themselves say."""
    for name in nodes:
        listed = {
            Place(name, view.container): (
                view.incarnation,
                view.run,
                view.revision,
                view.state,
                view.stopping,
                view.pid,
                view.started_at,
                view.exit,
                view.labels,
            )
            for view in await fleet.node(name).list(all=True)
        }
        folded = {
            place: (
                view.incarnation,
                view.run,
                view.revision,
                view.state,
                view.stopping,
                view.pid,
                view.started_at,
                view.exit,
                view.labels,
            )
            for place, view in watch.state.containers.items()
            if place.node == name
        }
        assert folded == listed


async def test_the_state_first_and_then_every_change(site: Site, world: World) -> None:
    before, after = site.name("before"), site.name("after")
    await site.make(before, labels={"a": "b"})
    async with site.fleet.watch() as watch:
        seen = Seen(watch)
        state = await seen.first()
        assert state.nodes["n1"].info.state == "up"
        assert not state.nodes["n1"].silent
        await same_as_listed(site.fleet, watch, "n1")

        await site.make(after)
        await site.node.pause(after)
        await site.node.resume(after)
        await site.node.stop(after, grace_s=0)
        await same_place_told(seen, site, after)
        assert seen.of(Place("n1", after)) == [
            "created",
            "running",
            "paused",
            "running",
            "running stopping",
            "stopped",
            "gone",
        ]
        await same_as_listed(site.fleet, watch, "n1")


async def same_place_told(seen: Seen, site: Site, name: str) -> None:
    await site.node.delete(name)
    await seen.gone(Place("n1", name))
