"""Work that comes to its end, whatever becomes of who waits for it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from wharfside_agent.services.tasks import unbroken


class Work:
    """Two waits, as for a disk; `steps` are those done."""

    def __init__(self) -> None:
        self.steps = list[str]()
        self.may = [asyncio.Event(), asyncio.Event()]

    async def run(self) -> str:
        self.steps.append("begun")
        for number, may in enumerate(self.may):
            await may.wait()
            self.steps.append(f"waited {number}")
        return "done"


async def test_what_waits_for_nothing_takes_no_turn_of_the_loop() -> None:
    turns = list[str]()
    asyncio.get_running_loop().call_soon(turns.append, "a turn")

    async def at_once() -> int:
        return 7

    assert await unbroken(at_once()) == 7
    assert turns == []


async def test_it_begins_at_once_and_goes_on_through_its_waits() -> None:
    work = Work()
    waiter = asyncio.ensure_future(unbroken(work.run()))
    await asyncio.sleep(0)
    assert work.steps == ["begun"]
    for may in work.may:
        may.set()
    assert await asyncio.wait_for(waiter, 5) == "done"
    assert work.steps == ["begun", "waited 0", "waited 1"]


@pytest.mark.parametrize("at", [0, 1])
async def test_a_waiter_that_is_canceled_is_so_after_it(at: int) -> None:
    work = Work()
    waiter = asyncio.ensure_future(unbroken(work.run()))
    for may in work.may[:at]:
        may.set()
    while len(work.steps) <= at:
        await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.sleep(0)
    assert not waiter.done(), "whoever holds a lock for it holds it still"
    for may in work.may:
        may.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiter, 5)
    assert work.steps == ["begun", "waited 0", "waited 1"]


async def test_what_it_raises_goes_through_at_once_or_later() -> None:
    async def fails(wait: asyncio.Event | None) -> None:
        if wait is not None:
            await wait.wait()
        raise ValueError("it failed")

    with pytest.raises(ValueError, match="it failed"):
        await unbroken(fails(None))
    wait = asyncio.Event()
    asyncio.get_running_loop().call_soon(wait.set)
    with pytest.raises(ValueError, match="it failed"):
        await unbroken(fails(wait))


async def test_what_it_waits_for_may_fail_and_be_caught_within() -> None:
    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def catches() -> str:
        try:
            await failing
        except OSError:
            return "caught"
        return "nothing to catch"

    waiter = asyncio.ensure_future(unbroken(catches()))
    await asyncio.sleep(0)
    failing.set_exception(OSError("no room"))
    assert await asyncio.wait_for(waiter, 5) == "caught"


@pytest.mark.parametrize("waits", [False, True])
async def test_it_has_one_context_of_its_own_from_end_to_end(waits: bool) -> None:
    """A span is entered before its waits, and left after them; not for its caller."""
    current, may = ContextVar("current", default="caller"), asyncio.Event()

    async def spanned() -> str:
        token = current.set("span")
        if waits:
            await may.wait()
        seen = current.get()
        current.reset(token)
        current.set("left behind")
        return seen

    asyncio.get_running_loop().call_soon(may.set)
    assert await unbroken(spanned()) == "span"
    assert current.get() == "caller"
