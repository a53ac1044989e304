"""A machine in memory, for tests of what stands on the runtime contract.

It knows a handful of programs in busybox's words, and like a kernel it outlives the
agents that look at it: two fakes on one machine are two lives of an agent.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wharfside_agent.core.exit_status import Ended
from wharfside_agent.ports.watcher import ProcessIdentity
from wharfside_protocol.errors import RuntimeFailed
from wharfside_protocol.exits import StatusSource
from wharfside_protocol.io_frames import StreamName
from wharfside_protocol.specs import Io, Limits

_SHELL = ("sh", "-c")
_PROGRAMS = frozenset({"sh", "sleep", "tail", "echo", "true", "false", "cat", "stty"})
_NOT_EXECUTABLE = "not-executable"


@dataclass
class FakeProcess:
    """A process: it runs until its program ends or a signal comes."""

    pid: int
    args: Sequence[str]
    init: bool
    stdout: bytes = b""
    stderr: bytes = b""
    wait_status: int | None = None
    exited_at: int = 0
    watched: bool = True
    traps: dict[int, int] = field(default_factory=dict)
    doorbells: list[Callable[[], None]] = field(default_factory=list)
    dependents: list[FakeProcess] = field(default_factory=list)
    io: Io = field(default_factory=Io)
    size: tuple[int, int] = (0, 0)
    stdin: bytes = b""
    stdin_over: bool = False
    started: bool = False
    taps: list[Callable[[StreamName, bytes], None]] = field(default_factory=list)

    @property
    def identity(self) -> ProcessIdentity:
        return ProcessIdentity(self.pid, self.pid)

    @property
    def monitor(self) -> ProcessIdentity:
        return ProcessIdentity(self.pid + 1, self.pid)

    def end(self, wait_status: int) -> None:
        if self.wait_status is None:
            self.wait_status = wait_status
            self.exited_at = time.time_ns()
            for each in self.dependents:  # a pid namespace dies with its pid 1
                each.end(signal.SIGKILL)
            self.ring()

    def ended(self) -> Ended | None:
        if self.wait_status is None:
            return None
        return Ended(
            wait_status=self.wait_status,
            exit_file=None,
            source=StatusSource.PIDFD if self.watched else StatusSource.WAIT,
            exited_at=self.exited_at,
            monitor_lost=not self.watched,
        )

    def ring(self) -> None:
        for bell in list(self.doorbells):
            bell()

    def signal(self, number: int) -> None:
        """As pid 1 of a namespace, init ignores what it has no handler for (kill(2))."""
        if number in self.traps:
            self.end(self.traps[number] << 8)
        elif number == signal.SIGKILL or not self.init:
            self.end(number)

    def feed(self, data: bytes) -> None:
        """Into its stdin, which `cat` reads."""
        self.stdin += data
        self._cat()

    def feed_end(self) -> None:
        self.stdin_over = True
        self._cat()

    def _cat(self) -> None:
        if not self.started or Path(self.args[0]).name != "cat" or self.wait_status is not None:
            return
        data, self.stdin = self.stdin, b""
        if data:
            self._print(StreamName.STDOUT, data)
        if self.stdin_over:
            self.end(0)

    def _print(self, stream: StreamName, data: bytes) -> None:
        """Into the log, and to whoever is attached."""
        if not self.io.log:
            pass
        elif stream is StreamName.STDOUT:
            self.stdout += data
        else:
            self.stderr += data
        for tap in list(self.taps):
            tap(stream, data)

    def run(self) -> None:
        """Lets the program do what it does at once; `sleep`, `tail` and `cat` go on."""
        self.started = True
        words = [Path(self.args[0]).name, *self.args[1:]]
        if words[0] == "cat":
            self.stdin_over |= not (self.io.stdin or self.io.tty)
            self._cat()
            return
        if words == ["stty", "size"] and self.io.tty:
            self._print(StreamName.STDOUT, b"%d %d\r\n" % self.size)
        if words[0] in ("sleep", "tail"):
            return
        if tuple(words[:2]) != _SHELL:
            self.end({"false": 1}.get(words[0], 0) << 8)
            return
        for statement in re.split(r"\s*;\s*", words[2]):
            if self.wait_status is None and self._do(statement):
                return
        self.end(0)

    def _do(self, statement: str) -> bool:
        """One statement of the shell; True where the shell stays in it."""
        match statement.split():
            case ["exit", code]:
                self.end(int(code) << 8)
            case ["echo", *words, ">&2"]:
                self._print(StreamName.STDERR, " ".join(words).encode() + b"\n")
            case ["echo", *words]:
                self._print(StreamName.STDOUT, " ".join(words).encode() + b"\n")
            case ["kill", number, "$$"]:
                self.signal(int(number.removeprefix("-")))
            case ["trap", *words, name]:
                self.traps[signal.Signals[f"SIG{name}"]] = int(words[-1].strip("'\""))
            case ["sleep", _] | ["do", "sleep", _]:
                return True
        return False


@dataclass
class FakeBody:
    """A container. `state` is the runtime's word."""

    limits: Limits
    processes: dict[str, FakeProcess]
    state: str = "created"
    oom_kills: int = 0
    oom_doorbells: list[Callable[[], None]] = field(default_factory=list)

    @property
    def word(self) -> str:
        return "stopped" if self.processes["init"].wait_status is not None else self.state

    def oom(self, process: str = "init") -> None:
        """The kernel kills a process for the container's memory limit."""
        self.oom_kills += 1
        for bell in list(self.oom_doorbells):
            bell()
        self.processes[process].end(signal.SIGKILL)


@dataclass
class FakeMachine:
    """All bodies by runtime id."""

    bodies: dict[str, FakeBody] = field(default_factory=dict)
    last_pid: int = 1000

    def process(self, args: Sequence[str], io: Io, *, init: bool) -> FakeProcess:
        """Raises RuntimeFailed: no such program, in the way of the runtimes."""
        name = Path(args[0]).name
        if name == _NOT_EXECUTABLE:
            raise RuntimeFailed(f"fake: {args[0]}: permission denied", exit_code=126)
        if name not in _PROGRAMS:
            raise RuntimeFailed(f"fake: {args[0]}: not found", exit_code=127)
        self.last_pid += 2
        return FakeProcess(self.last_pid, list(args), init, io=io)

    def remove(self, id_: str) -> None:
        """What lives in it is killed; nothing happens where it is gone."""
        body = self.bodies.pop(id_, None)
        for process in () if body is None else body.processes.values():
            process.end(signal.SIGKILL)
