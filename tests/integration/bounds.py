"""The one bound that all waits of these tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

BOUND_S = 60.0
"""Far beyond what anything here takes on an idle machine (tens of ms). A busy one needs seconds,
and one that gives a process no CPU for ten of them is still no reason to fail."""


class TooLate(AssertionError):
    """Something did not come within the bound."""


async def bounded(awaitable: Awaitable[T], what: str, within_s: float = BOUND_S) -> T:
    try:
        async with asyncio.timeout(within_s):
            return await awaitable
    except TimeoutError as error:
        raise TooLate(f"{what}: not within {within_s} s") from error
