"""Wharfside as a contender: one node and one orchestrator, over a real server.

The only module of the bench that knows how the agent is started and the client called.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.places import Places


class NotReady(Exception):
    """Ours cannot be measured yet: the agent or the client is not there."""


def _nobody(_pid: int) -> None:
    return None


class Ours:
    """A node named `bench` on `server`, with a client in this process.

    A context: entering makes the streams, starts the agent and waits until it is present;
    leaving deletes every container, ends the agent and removes its folders.
    """

    name = "ours"
    node = "bench"

    def __init__(self, server: str, places: Places) -> None:
        self._server = server
        self._places = places

    def __enter__(self) -> Self:
        raise NotReady("the agent and the client are not plugged into the bench yet")

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        return None

    def once(self, bundle: Path | None = None, started: Callable[[int], None] = _nobody) -> float:
        """Seconds from sending `run` until `exited` has arrived here; deleted after that.

        `bundle` is the plain `true` where None; `started` is told the pid of init.
        """
        raise NotReady

    def many(self, count: int, parallel: int) -> float:
        """Containers a second, `parallel` at a time: run, exited and deleted."""
        raise NotReady

    def noop_latencies(self, count: int) -> list[float]:
        """Seconds of each of `count` pings, one after the other."""
        raise NotReady

    def noop_rate(self, count: int, callers: int) -> float:
        """Pings a second, `callers` at a time."""
        raise NotReady

    def hold(self, count: int, bundle: Path) -> None:
        """`count` more containers running at once, until the node is left."""
        raise NotReady

    def agent_pid(self) -> int:
        raise NotReady

    def monitor_pids(self) -> list[int]:
        """The conmons of all that runs."""
        raise NotReady

    def restart_agent(self, running: int) -> float:
        """SIGKILL and start again: seconds from the new start until `running` are reattached."""
        raise NotReady

    def events_rate(self, count: int) -> float:
        """Events a second from the outbox until the stream has acknowledged the last of `count`.

        Raises:
            EventsLost: the stream does not hold every one of them once.
        """
        raise NotReady
