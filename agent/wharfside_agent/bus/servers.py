"""In which order servers are tried: at random, the one that was lost last, found ones after all.

Left to nats-py, half the tries of a client go to the server that has just fallen silent.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from wharfside_agent.bus.options import location


class Servers:
    """`configured` URLs are ours; a cluster tells others, whose names may not be."""

    def __init__(self, configured: Iterable[str]) -> None:
        self._configured = list(configured)
        self._discovered: list[str] = []
        self._lost = ""

    def lost(self, url: str, discovered: Iterable[str]) -> None:
        """A connection to `url` is over; it had told of `discovered`."""
        self._lost = location(url)
        self._discovered = [each for each in discovered if each not in self._configured]

    def round(self) -> list[str]:
        """Every server once."""
        first = random.sample(self._configured, len(self._configured))
        more = random.sample(self._discovered, len(self._discovered))
        return sorted([*first, *more], key=self._last)

    def _last(self, url: str) -> tuple[bool, bool]:
        return location(url) == self._lost, url in self._discovered
