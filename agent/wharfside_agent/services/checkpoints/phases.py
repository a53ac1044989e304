"""How far a checkpoint, a restore or a migration is, told on the command's progress subject."""

from __future__ import annotations

from wharfside_agent.ports.bus import Bus
from wharfside_agent.ports.clock import Clock
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.checkpoints import Phase
from wharfside_protocol.codec import encode
from wharfside_protocol.node_commands import Progress
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

    def tell(self, command: str, op: str, phase: Phase, done: int = 0, total: int = 0) -> None:
        """`command`: the id of the one that runs `op`. `done` of `total` bytes, where it counts."""
        progress = Progress(
            node=self._node,
            command=command,
            op=op,
            at=to_timestamp(self._clock.now()),
            total=total,
            left=max(0, total - done),
            phase=phase,
        )
        subject = self._subjects.progress(self._node, command)
        self._tasks.start(self._bus.tell(subject, encode(progress)), f"progress of {command}")


class Telling:
    """One command's."""

    def __init__(self, phases: Phases, call: Call) -> None:
        self._phases = phases
        self._call = call
        self.phase: Phase | None = None

    def begin(self, phase: Phase) -> None:
        self.phase = phase
        self._tell(phase)

    def bytes(self, done: int, total: int) -> None:
        """Within the phase; ports.images.Progress."""
        assert self.phase is not None
        self._tell(self.phase, done, total)

    def _tell(self, phase: Phase, done: int = 0, total: int = 0) -> None:
        self._phases.tell(self._call.id, self._call.command.op, phase, done, total)
