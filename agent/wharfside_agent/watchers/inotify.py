"""One inotify of the kernel's on the loop that first asks for it: how all its users open it.

fs.inotify.max_user_instances is 128 by default: so each user has one for all that it watches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from asyncinotify import Event, Inotify


class LoopInotify:
    """`tell` is called on the loop with each event, until `close`; open again after it."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._inotify: Inotify | None = None

    @property
    def opened(self) -> Inotify | None:
        """None: nobody has asked for it, or it is closed."""
        return self._inotify

    def open(self) -> Inotify:
        """
        Raises:
            OSError: out of inotify instances, or of descriptors.
        """
        if self._inotify is None:
            self._inotify = Inotify(sync_timeout=0)
            asyncio.get_running_loop().add_reader(self._inotify.fd, self._drain)
        return self._inotify

    def close(self) -> None:
        """In a thread: the kernel waits until nobody can look at its marks any more (an SRCU grace
        period, in fsnotify_destroy_group), 14 ms and more, and the loop would wait with it."""
        if self._inotify is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._inotify.fd)
            loop.run_in_executor(None, self._inotify.close)
            self._inotify = None

    def _drain(self) -> None:
        assert self._inotify is not None
        for event in self._inotify:
            self._tell(event)
