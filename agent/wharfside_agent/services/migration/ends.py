"""What a migration does with its container at each of its two ends; services/migration/leaving.py
and coming.py. Each may be called again after a death of the agent."""

from __future__ import annotations

from typing import Protocol

from wharfside_agent.ports.images import Image
from wharfside_agent.ports.rows import Arrival, Departure


class Leaving(Protocol):
    """On the source."""

    async def dump(self, row: Departure) -> tuple[int, int]:
        """The final dump; the container is over, and `migrating`. (frozen at, bytes).

        Raises:
            WharfsideError: it goes on.
        """
        ...

    async def dumped(self, row: Departure) -> tuple[int, int] | None:
        """After a death: what the dump came to. None: the container goes on, or is over itself."""
        ...

    async def delete(self, row: Departure) -> None:
        """Raises WharfsideError: something cannot be removed; again later."""
        ...

    async def revive(self, row: Departure) -> None:
        """Restores it in place, unless that is done already.

        Raises:
            WharfsideError: it is stopped, with its image kept.
        """
        ...

    async def stays(self, row: Departure) -> None:
        """It is no longer about to leave."""
        ...

    def lives(self, row: Departure) -> bool:
        """Somebody has brought it to life meanwhile."""
        ...


class Coming(Protocol):
    """On the target."""

    async def fits(self, row: Arrival, image: Image) -> None:
        """Raises WharfsideError: the image is not that of what was announced."""
        ...

    async def restore(self, row: Arrival) -> Arrival:
        """It runs here; saved with the row that is returned, in one transaction.

        Raises:
            WharfsideError: it does not, and nothing of it is left.
        """
        ...

    async def found(self, row: Arrival) -> Arrival | None:
        """After a death: the row of one that was restored; None: nothing of it is left."""
        ...

    async def end(self, row: Arrival) -> None:
        """Kills and deletes it, wherever it is. Idempotent.

        Raises:
            WharfsideError: again later.
        """
        ...
