"""What happened must be told, however short the node is of something: it is tried until it can.

Bounded in memory: one who insists holds one event, of a process that is there anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    wait_exponential,
)

from wharfside_agent.errors import is_shortage

log = structlog.get_logger(__name__)

FIRST_WAIT_S = 0.1
WAIT = wait_exponential(multiplier=2 * FIRST_WAIT_S, max=2)

T = TypeVar("T")


async def insist(what: str, act: Callable[[], Awaitable[T]]) -> T:
    """What `act` returns; for ever, as long as only room, descriptors or a rest are wanting."""
    try:
        # The first try is nearly always the only one: tenacity would cost more than it.
        return await act()
    except Exception as error:
        if not is_shortage(error):
            raise
        _say(what, 1, error)
    await asyncio.sleep(FIRST_WAIT_S)

    def say(state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        _say(what, state.attempt_number + 1, error)

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_shortage), wait=WAIT, before_sleep=say, reraise=True
    )
    return await retrying(act)


def _say(what: str, tries: int, error: BaseException | None) -> None:
    log.warning("tried-again-later", what=what, tries=tries, error=str(error))
