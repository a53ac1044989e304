"""How long a checkpoint may take, and what of it nobody may cut short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import structlog

from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.intake import remaining
from wharfside_protocol.envelope import DEFAULT_MAILBOX_SECONDS, DEFAULT_RPC_SECONDS
from wharfside_protocol.errors import DeadlineExceeded
from wharfside_protocol.times import NANOSECONDS

log = structlog.get_logger(__name__)

T = TypeVar("T")


async def to_its_end(work: Awaitable[T]) -> T:
    """Not cut short by whoever cancels, however often: it is canceled after it. What it raises
    comes first."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await _over(task)
        if not task.cancelled() and task.exception() is not None:
            log.info("failed-while-canceled", error=str(task.exception()))
        raise


async def past_recall(work: Awaitable[T]) -> T:
    """What is committed by it is not undone: a cancel that comes meanwhile has come too late,
    and changes nothing."""
    task = asyncio.ensure_future(work)
    await _over(task)
    return task.result()


async def _over(task: asyncio.Future[T]) -> None:
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])


@asynccontextmanager
async def in_time(call: Call, now: int) -> AsyncIterator[None]:
    """Past the command's deadline it is canceled, whoever still waits.

    Raises:
        DeadlineExceeded: so it was.
    """
    default = DEFAULT_MAILBOX_SECONDS if call.durable else DEFAULT_RPC_SECONDS
    left = remaining(call.command, call.received_at, default)
    left -= (now - call.received_at) / NANOSECONDS
    try:
        async with asyncio.timeout(left):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded(
            "the checkpoint was not done by the deadline: it is undone, and the container goes on; "
            "give it more time (--timeout)",
            stage="running",
        ) from error
