"""One process of a container, as the kernel and its conmon show it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wharfside_agent.ports.process import NotExited, ProcessTrace
from wharfside_agent.ports.watcher import Ended, ExitWatch
from wharfside_agent.runtime.logs import WrittenLog
from wharfside_agent.runtime.streams import RunStreams
from wharfside_protocol.commands import Output
from wharfside_protocol.errors import NotFound
from wharfside_protocol.states import INIT
from wharfside_protocol.views import Fifos

if TYPE_CHECKING:
    from wharfside_agent.runtime.container import RunContainer


class RunProcess:
    """ports.runtime.Process over a pidfd and conmon's log."""

    def __init__(
        self,
        container: RunContainer,
        trace: ProcessTrace,
        watch: ExitWatch,
        log: WrittenLog,
        spec: Callable[[], Mapping[str, Any]],
        streams: RunStreams,
        fifos: Fifos | None,
    ) -> None:
        self._container = container
        self._trace = trace
        self._watch = watch
        self._log = log
        self._spec = spec
        self._streams = streams
        self._fifos = fifos

    @property
    def id(self) -> str:
        return self._trace.process

    @property
    def container(self) -> RunContainer:
        return self._container

    @property
    def spec(self) -> Mapping[str, Any]:
        return self._spec()

    @property
    def trace(self) -> ProcessTrace:
        return self._trace

    @property
    def pid(self) -> int:
        return self._trace.identity.pid

    @property
    def exit_fd(self) -> int:
        return self._watch.exit_fd

    @property
    def watch(self) -> ExitWatch:
        return self._watch

    @property
    def fifos(self) -> Fifos | None:
        return self._fifos

    @property
    def streams(self) -> RunStreams:
        return self._streams

    def exit_status(self) -> Ended:
        ended = self._watch.ended
        if ended is None:
            raise NotExited(f"process {self.id} of {self._container.id} still runs")
        return ended

    def signal(self, number: int) -> None:
        try:
            if self.exit_fd < 0:
                raise ProcessLookupError
            signal.pidfd_send_signal(self.exit_fd, number)
        except ProcessLookupError as error:
            raise NotFound(f"process {self.id} is over: nothing to signal") from error

    def output(self, limit: int) -> Output:
        return self._log.output(limit)

    def discard(self) -> None:
        if self.id != INIT and self._watch.ended is not None:
            self._container.forget(self.id)

    def close(self) -> None:
        self._streams.close()
        self._log.close(over=self._watch.ended is not None)
        self._watch.close()
