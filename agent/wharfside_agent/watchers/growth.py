"""Rings when a file grows: one inotify for all logs of the node.

Each watch fires once and is gone: a process that writes without a pause costs nothing
between two looks at its log, and five hundred silent ones cost nothing at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from asyncinotify import Event, Mask, Watch

from wharfside_agent.watchers.inotify import LoopInotify

LATER_S = 0.2
"""Without a watch (fs.inotify.max_user_watches) a file is looked at so often."""

GROWTH = Mask.MODIFY | Mask.MOVE_SELF

OPENINGS = Mask.OPEN
"""For who waits for a reader of a FIFO, in place of growth."""


class FileGrowth:
    """ports.logs.Growth. Opened by `open`, or with the first wait, on the loop that runs then."""

    def __init__(self, mask: Mask = GROWTH) -> None:
        self._mask = mask | Mask.ONESHOT
        self._inotify = LoopInotify(self._heard)
        self._rings: dict[int, list[Callable[[], None]]] = {}

    def open(self) -> None:
        """So that the agent has as many descriptors open at rest as after its first container.

        Where there is no inotify left each wait asks for one again.
        """
        with suppress(OSError):
            self._inotify.open()

    def once(self, path: str, ring: Callable[[], None]) -> Callable[[], None]:
        try:
            watch = self._inotify.open().add_watch(path, self._mask)
        except OSError:
            return asyncio.get_running_loop().call_later(LATER_S, ring).cancel
        # Two waits for one file are one watch of the kernel's.
        rings = self._rings.setdefault(watch.wd, [])
        rings.append(ring)
        return partial(self._end, watch, ring)

    def close(self) -> None:
        """Nothing rings any more."""
        self._rings.clear()
        self._inotify.close()

    def _heard(self, event: Event) -> None:
        # The kernel's last word on a watch that has fired comes without it.
        if event.watch is not None:
            for ring in self._rings.pop(event.watch.wd, []):
                ring()

    def _end(self, watch: Watch, ring: Callable[[], None]) -> None:
        rings = self._rings.get(watch.wd)
        if rings is None or ring not in rings:
            return
        rings.remove(ring)
        if not rings and self._inotify.opened is not None:
            del self._rings[watch.wd]
            with suppress(OSError):  # it has fired meanwhile
                self._inotify.opened.rm_watch(watch)
