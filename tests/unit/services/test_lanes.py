"""Lanes: one at a time and in order within one, side by side between them, both bounded."""

from __future__ import annotations

import asyncio

import pytest

from wharfside_agent.services.commands.lanes import Lanes, Ticket
from wharfside_protocol.errors import Busy

BOUND_S = 5.0


async def entered(lanes: Lanes, key: str) -> Ticket:
    return await asyncio.wait_for(lanes.enter(key), BOUND_S)


async def settle() -> None:
    """Lets every task run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_lane_lets_in_one_after_the_other_in_order() -> None:
    lanes, order = Lanes(), list[int]()

    async def work(number: int) -> None:
        ticket = await lanes.enter("web")
        order.append(number)
        ticket.release()

    first = await entered(lanes, "web")
    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await settle()
    assert order == []
    first.release()
    await asyncio.wait_for(asyncio.gather(*tasks), BOUND_S)
    assert order == [0, 1, 2, 3, 4]


async def test_lanes_run_side_by_side_up_to_their_width() -> None:
    lanes = Lanes(width=2)
    one, two = await entered(lanes, "a"), await entered(lanes, "b")
    third = asyncio.create_task(lanes.enter("c"))
    await settle()
    assert not third.done()
    one.release()
    (await asyncio.wait_for(third, BOUND_S)).release()
    two.release()


async def test_a_ticket_is_given_back_once() -> None:
    lanes = Lanes(width=1)
    ticket = await entered(lanes, "web")
    ticket.release()
    ticket.release()
    held = await entered(lanes, "web")
    other = asyncio.create_task(lanes.enter("web"))
    await settle()
    assert not other.done()
    held.release()
    (await asyncio.wait_for(other, BOUND_S)).release()


async def test_a_full_lane_is_busy_and_the_others_are_not() -> None:
    lanes = Lanes(depth=2)
    held = await entered(lanes, "web")
    waiting = asyncio.create_task(lanes.enter("web"))
    await settle()
    with pytest.raises(Busy):
        await lanes.enter("web")
    (await entered(lanes, "db")).release()
    held.release()
    (await asyncio.wait_for(waiting, BOUND_S)).release()
    (await entered(lanes, "web")).release()


@pytest.mark.parametrize("width", [1, 2])
async def test_one_who_gives_up_waiting_takes_nothing_along(width: int) -> None:
    """In the lane's own queue (width 2), or in that for a slot among all lanes (width 1)."""
    lanes = Lanes(width=width)
    held = await entered(lanes, "web")
    key = "web" if width == 2 else "db"
    waiting = asyncio.create_task(lanes.enter(key))
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    held.release()
    for each in ("web", "db", "web"):
        (await entered(lanes, each)).release()
