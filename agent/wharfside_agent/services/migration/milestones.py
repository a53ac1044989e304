"""What a migration comes to some time, for whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wharfside_agent.ports.rows import Departure


class Milestone:
    """A future for each migration: done once `reached` holds, with the row as it is then."""

    def __init__(self, reached: Callable[[Departure], bool]) -> None:
        self._reached = reached
        self._futures: dict[str, asyncio.Future[Departure]] = {}

    def of(self, row: Departure) -> asyncio.Future[Departure]:
        """Not to be canceled, since others may wait for it: shield it."""
        if row.id not in self._futures:
            self._futures[row.id] = asyncio.get_running_loop().create_future()
        self.look(row)
        return self._futures[row.id]

    def look(self, row: Departure) -> None:
        future = self._futures.get(row.id)
        if future is not None and not future.done() and self._reached(row):
            future.set_result(row)
