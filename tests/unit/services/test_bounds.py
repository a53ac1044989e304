"""What nobody cuts short: the work of CRIU, and what is committed."""

from __future__ import annotations

import asyncio

import pytest

from wharfside_agent.services.checkpoints.bounds import past_recall, to_its_end
from wharfside_protocol.errors import RuntimeFailed


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_whoever_cancels_twice_waits_all_the_same() -> None:
    over = asyncio.Event()
    work = asyncio.create_task(over.wait())
    waiting = asyncio.create_task(to_its_end(work))
    for _ in range(3):
        await turn()
        waiting.cancel()
    await turn()
    assert not waiting.done()
    over.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.result()


async def test_what_it_comes_to_is_returned_or_raised() -> None:
    async def work(*, fails: bool) -> int:
        if fails:
            raise RuntimeFailed("CRIU says no")
        return 7

    for bound in (to_its_end, past_recall):
        assert await bound(work(fails=False)) == 7
        with pytest.raises(RuntimeFailed):
            await bound(work(fails=True))


async def test_a_deadline_that_passes_meanwhile_is_too_late() -> None:
    over = asyncio.Event()

    async def commits() -> str:
        await over.wait()
        return "committed"

    async def asked() -> str:
        async with asyncio.timeout(0):
            return await past_recall(commits())

    asking = asyncio.create_task(asked())
    await turn()
    asking.cancel()
    await turn()
    assert not asking.done()
    over.set()
    assert await asking == "committed"
