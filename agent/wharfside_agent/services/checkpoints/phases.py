"""How far a checkpoint or a restore is, told on the command's progress subject."""

from __future__ import annotations

from wharfside_agent.ports.bus import Bus
from wharfside_agent.ports.clock import Clock
from wharfside_agent.services.commands.book import Call
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.checkpoints import Phase
from wharfside_protocol.codec import encode
from wharfside_protocol.commands import Progress
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import to_timestamp


class Phases:
    """Tells whoever listens now. Never waited for: a slow bus holds no container still."""

    def __init__(self, node: str, bus: Bus, subjects: Subjects, clock: Clock, tasks: Tasks) -> None:
        self._node = node
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._tasks = tasks

    def of(self, call: Call) -> Telling:
        return Telling(self, call)

    def tell(self, call: Call, phase: Phase, done: int, total: int) -> None:
        progress = Progress(
            node=self._node,
            command=call.id,
            op=call.command.op,
            at=to_timestamp(self._clock.now()),
            total=total,
            left=max(0, total - done),
            phase=phase,
        )
        subject = self._subjects.progress(self._node, call.id)
        self._tasks.start(self._bus.tell(subject, encode(progress)), f"progress of {call.id}")


class Telling:
    """One command's."""

    def __init__(self, phases: Phases, call: Call) -> None:
        self._phases = phases
        self._call = call
        self.phase: Phase | None = None

    def begin(self, phase: Phase) -> None:
        self.phase = phase
        self._phases.tell(self._call, phase, 0, 0)

    def bytes(self, done: int, total: int) -> None:
        """Within the phase; ports.images.Progress."""
        assert self.phase is not None
        self._phases.tell(self._call, self.phase, done, total)
