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

    def configure(self, configured: Iterable[str]) -> None:
        """Other servers from the next round on, and none that the former ones told of."""
        self._configured = list(configured)
        self._discovered = []

    def lost(self, url: str, discovered: Iterable[str]) -> None:
        """A connection to `url` is over; it had told of `discovered`."""
        self._lost = location(url)
        self._discovered = [each for each in discovered if each not in self._configured]

    def round(self, present: str = "") -> list[str]:
        """Every server once; `present`, the one of a connection to be replaced, first.

        Interest in a subject spreads late between servers, and not at all on one.
        """
        first = random.sample(self._configured, len(self._configured))
        more = random.sample(self._discovered, len(self._discovered))
        return sorted([*first, *more], key=lambda url: self._last(url, present))

    def _last(self, url: str, present: str) -> tuple[bool, bool, bool]:
        where = location(url)
        return where != present, where == self._lost, url in self._discovered
