"""The kernel's word on who stalls: a bell for all containers together, and each one's figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from wharfside_protocol.event_facts import PressureOn
from wharfside_protocol.stats import Pressure


class Stalls(Protocol):
    def listen(self, shares: Mapping[PressureOn, float]) -> None:
        """From now on to containers that may be stalled on one of these for that share of the
        time; on the others to nothing."""
        ...

    async def rung(self, timeout_s: float) -> bool:
        """Until some container may be, since the last one; False: none was for so long, or this
        machine cannot tell."""
        ...

    def take(self) -> bool:
        """The same at once."""
        ...

    def read(self, cgroup: str, resource: PressureOn) -> Pressure | None:
        """Of one container; None: it is gone, or the kernel has no figures."""
        ...

    def close(self) -> None: ...
