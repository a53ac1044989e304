"""A process of the fake machine, as the runtime contract shows it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any

from wharfside_agent.core.exit_status import Ended
from wharfside_agent.ports.process import NotExited, ProcessTrace
from wharfside_agent.ports.runtime import Container
from wharfside_agent.ports.watcher import MonitorGone
from wharfside_agent.runtime.fake_machine import FakeProcess
from wharfside_agent.runtime.fake_streams import FakeStreams
from wharfside_protocol.commands import Output
from wharfside_protocol.errors import NotFound
from wharfside_protocol.exits import StatusSource
from wharfside_protocol.states import INIT


class FakeHandle:
    """ports.runtime.Process and its ExitWatch in one; an eventfd stands for the pidfd."""

    def __init__(
        self, container: Container, name: str, body: FakeProcess, forget: Callable[[str], None]
    ) -> None:
        """`forget` takes it out of its container."""
        self._container = container
        self._forget = forget
        self._name = name
        self.body = body
        self._gone_told = not body.watched
        self._ring = asyncio.Event()
        self._streams = FakeStreams(body)
        self._exit_fd = -1 if body.wait_status is not None else os.eventfd(0)
        body.doorbells.append(self._rung)

    @property
    def id(self) -> str:
        return self._name

    @property
    def container(self) -> Container:
        return self._container

    @property
    def spec(self) -> Mapping[str, Any]:
        return {"args": list(self.body.args)}

    @property
    def trace(self) -> ProcessTrace:
        return ProcessTrace(self._name, self.body.identity, self.body.monitor)

    @property
    def pid(self) -> int:
        return self.body.pid

    @property
    def exit_fd(self) -> int:
        return self._exit_fd

    @property
    def watch(self) -> FakeHandle:
        return self

    @property
    def fifos(self) -> None:
        return None

    @property
    def streams(self) -> FakeStreams:
        return self._streams

    @property
    def ended(self) -> Ended | None:
        return self.body.ended()

    async def next(self) -> Ended | MonitorGone:
        while True:
            self._ring.clear()
            if not self.body.watched and not self._gone_told:
                self._gone_told = True
                return MonitorGone(StatusSource.WAIT)
            if (ended := self.ended) is not None:
                return ended
            await self._ring.wait()

    def exit_status(self) -> Ended:
        if (ended := self.ended) is None:
            raise NotExited(f"process {self._name} still runs")
        return ended

    def signal(self, number: int) -> None:
        if self.ended is not None:
            raise NotFound(f"process {self._name} is over: nothing to signal")
        self.body.signal(number)

    def look(self) -> None:
        self.body.ring()

    def lose_monitor(self) -> None:
        """The monitor is killed, its process lives on."""
        self.body.watched = False
        self.body.ring()

    def output(self, limit: int) -> Output:
        out, err = self.body.stdout, self.body.stderr
        return Output(
            stdout=out[:limit],
            stderr=err[:limit],
            stdout_truncated=len(out) > limit,
            stderr_truncated=len(err) > limit,
        )

    def discard(self) -> None:
        if self._name != INIT and self.ended is not None:
            self._forget(self._name)
            self.close()

    def close(self) -> None:
        self._streams.close()
        if self._exit_fd >= 0:
            os.close(self._exit_fd)
            self._exit_fd = -1
        if self._rung in self.body.doorbells:
            self.body.doorbells.remove(self._rung)

    def _rung(self) -> None:
        self._ring.set()
        if self.ended is not None and self._exit_fd >= 0:
            os.eventfd_write(self._exit_fd, 1)
