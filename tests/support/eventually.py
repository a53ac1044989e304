"""Bounded polling, for conditions that no event tells.

The last resort: where an event, a pidfd, inotify or a reply can be awaited, await that instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar

import tenacity

T = TypeVar("T")

PATIENCE_S = 60.0
"""Far beyond what anything here takes on an idle machine. A busy one needs seconds, and one that
gives a process no CPU for ten of them is still no reason to fail."""


class NeverHappened(AssertionError):
    """A condition did not come true within its bound; says what was seen last."""

    def __init__(self, what: str, within_s: float, last: object) -> None:
        super().__init__(f"{what}: not within {within_s} s, last seen: {last!r}")
        self.what = what
        self.last = last


def wait_until(
    probe: Callable[[], T], what: str, *, within_s: float = PATIENCE_S, every_s: float = 0.02
) -> T:
    """Call `probe` until it returns something true, and return that.

    Raises NeverHappened after `within_s` seconds; what the probe itself raises goes through.
    """
    return tenacity.Retrying(**_policy(what, within_s, every_s))(probe)


async def eventually(
    probe: Callable[[], T | Awaitable[T]],
    what: str,
    *,
    within_s: float = PATIENCE_S,
    every_s: float = 0.02,
) -> T:
    """`wait_until` for the event loop; the probe may be a coroutine function."""

    async def look() -> T:
        seen = probe()
        return await seen if isawaitable(seen) else seen

    return await tenacity.AsyncRetrying(**_policy(what, within_s, every_s))(look)


def _policy(what: str, within_s: float, every_s: float) -> dict[str, Any]:
    def give_up(state: tenacity.RetryCallState) -> None:
        last = state.outcome.result() if state.outcome else None
        raise NeverHappened(what, within_s, last)

    return {
        "stop": tenacity.stop_after_delay(within_s),
        "wait": tenacity.wait_fixed(every_s),
        "retry": tenacity.retry_if_result(lambda seen: not seen),
        "retry_error_callback": give_up,
    }
