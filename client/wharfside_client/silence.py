"""When a node is silent: by the server's clock, told by a timer; pure."""

from __future__ import annotations

import heapq


class ServerClock:
    """What the server's clock says, from the stamps that it puts on messages.

    Until a message has come as it was stored, this side's own clock is believed, but for
    a stamp that is later than it.
    """

    def __init__(self, skew_ns: int) -> None:
        """`skew_ns`: from this side's monotonic clock to its own wall clock."""
        self._skew_ns = skew_ns

    def now(self, local_ns: int) -> int:
        return local_ns + self._skew_ns

    def stamped(self, server_ns: int, local_ns: int, *, live: bool) -> None:
        """A message was stored at `server_ns`; `live`: just now."""
        if live or server_ns > self.now(local_ns):
            self._skew_ns = server_ns - local_ns


class Silence:
    """Which node is due to be silent next. Times are the server's, in nanoseconds."""

    def __init__(self, after_ns: int) -> None:
        """`after_ns`: from a node's last put to its silence."""
        self.after_ns = after_ns
        self._put: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []

    def put(self, node: str, at_ns: int) -> None:
        """The node told of itself; its silence is due `after_ns` later."""
        waits = node in self._put
        self._put[node] = max(at_ns, self._put.get(node, 0))
        if not waits:
            heapq.heappush(self._queue, (self._put[node] + self.after_ns, node))

    def forget(self, node: str) -> None:
        """It is silent, and that was told, or it is gone."""
        self._put.pop(node, None)

    def next(self) -> tuple[int, str] | None:
        """Who is silent next, and when; None where nobody can be."""
        while self._queue:
            due_ns, node = self._queue[0]
            put = self._put.get(node)
            if put is not None and put + self.after_ns == due_ns:
                return due_ns, node
            heapq.heappop(self._queue)
            if put is not None:
                heapq.heappush(self._queue, (put + self.after_ns, node))
        return None
