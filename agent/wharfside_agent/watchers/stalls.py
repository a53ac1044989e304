"""ports.pressure.Stalls by one trigger a resource on the cgroup of all containers (psi.rst).

One for each container would be exact, and dear: the kernel starts a thread for a cgroup that has
triggers. This one rings at the least that a container below may count for, and who is rung looks.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Mapping

import structlog

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.core.cgroup_text import parse_pressure
from wharfside_agent.core.pressure import trigger
from wharfside_agent.watchers.oom_counters import read_text
from wharfside_protocol.event_facts import PressureOn
from wharfside_protocol.stats import Pressure

log = structlog.get_logger(__name__)


class CgroupStalls:
    """`parent` is the cgroup of all containers. Armed while somebody waits, on its loop."""

    def __init__(self, mounts: CgroupMounts, parent: str) -> None:
        self._mounts = mounts
        self._parent = parent
        self._shares: Mapping[PressureOn, float] = {}
        self._bell = Bell()
        self._refused: str | None = None

    def listen(self, shares: Mapping[PressureOn, float]) -> None:
        self._bell.close()
        self._shares = dict(shares)
        self._refused = None

    async def rung(self, timeout_s: float) -> bool:
        self._arm()
        return await self._bell.rung(timeout_s)

    def take(self) -> bool:
        return self._bell.take()

    def close(self) -> None:
        self._bell.close()

    def read(self, cgroup: str, resource: PressureOn) -> Pressure | None:
        folder = self._mounts.at(cgroup).folder("unified")
        text = None if folder is None else read_text(f"{folder}/{resource}.pressure")
        return parse_pressure(text or "")

    def _arm(self) -> None:
        """Where it cannot be, or the cgroup went away: the next wait tries again."""
        if self._bell.open or not self._shares:
            return
        try:
            self._bell.hang(self._texts())
            self._refused = None
        except OSError as error:
            self._bell.close()
            if self._refused != str(error):
                self._refused = str(error)
                log.info("no-pressure-events", says=str(error))

    def _texts(self) -> dict[str, str]:
        """The trigger of each file.

        Raises:
            OSError: version 2's tree is not mounted, or may not be written.
        """
        folder = self._mounts.at(self._parent).folder("unified")
        if folder is None:
            raise FileNotFoundError("no cgroup2 is mounted, so the kernel tells of no container")
        folder.mkdir(parents=True, exist_ok=True)  # the hybrid's comes with the first container
        cpus = os.cpu_count() or 1
        return {f"{folder}/{on}.pressure": trigger(by, cpus) for on, by in self._shares.items()}


class Bell:
    """Triggers that ring one bell.

    They tell by POLLPRI alone, which no loop's reader knows: so they are in an epoll of their own,
    which is readable then.
    """

    def __init__(self) -> None:
        self._rings = asyncio.Event()
        self._triggers: list[int] = []
        self._epoll: select.epoll | None = None

    @property
    def open(self) -> bool:
        return self._epoll is not None

    def hang(self, texts: Mapping[str, str]) -> None:
        """
        Raises:
            OSError: the kernel takes no trigger there. Some may hang already.
        """
        self._epoll = select.epoll()
        for path, text in texts.items():
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            self._triggers.append(fd)
            os.write(fd, text.encode())
            self._epoll.register(fd, select.EPOLLPRI | select.EPOLLERR)
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._heard)

    async def rung(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._rings.wait()
        except TimeoutError:
            return False
        return self.take()

    def take(self) -> bool:
        rung = self._rings.is_set()
        self._rings.clear()
        return rung

    def _heard(self) -> None:
        """The kernel forgets a trigger's ring once it is asked, and the loop has asked already:
        so the epoll only tells by now whether a cgroup went away, which would ring for ever."""
        assert self._epoll is not None
        self._rings.set()
        if any(events & select.EPOLLERR for _, events in self._epoll.poll(0)):
            self.close()

    def close(self) -> None:
        if self._epoll is not None:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
        while self._triggers:
            os.close(self._triggers.pop())
