"""The runtime contract: containerd's first Container and Process interface, in Python.

Each member is named in DESIGN section 3; docs/seed-map.md maps it to code and test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wharfside_agent.core.policy.limits import UNLIMITED, Amounts
from wharfside_agent.core.policy.rules import EVERYBODY
from wharfside_agent.ports.io import LiveSource
from wharfside_agent.ports.watcher import Ended, ExitWatch, OomCounters, ProcessIdentity
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.commands import Output
from wharfside_protocol.io_commands import TerminalSize
from wharfside_protocol.specs import ContainerSpec, Io, Limits, ProcessSpec
from wharfside_protocol.stats import Stats, Usage
from wharfside_protocol.views import CriuInfo, Fifos, RuntimeInfo


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run of one incarnation: all that the driver needs, nothing that it decides.

    `rules` names the rule set of the node's policy that let it in: each run is judged by it again.
    """

    container: str
    incarnation: str
    run: int
    spec: ContainerSpec
    runtime: str
    rules: str = EVERYBODY


@dataclass(frozen=True, slots=True)
class Planned:
    """What would run: by which runtime, and with which limits, a bundle's own included."""

    runtime: str
    limits: Amounts = UNLIMITED


@dataclass(frozen=True, slots=True)
class ProcessTrace:
    """What the store remembers of a process, so that a new life of the agent finds it."""

    process: str
    identity: ProcessIdentity
    monitor: ProcessIdentity


PLAIN_IO = Io()
"""No input, and output into the log."""


@dataclass(frozen=True, slots=True)
class Dump:
    """A checkpoint to be written into `folder`, as Podman's export has it.

    `created_at`: of the container, RFC 3339.
    `parent`: the name of a pre-dump in there to build on. `leave`: the processes stay as they
    were; else CRIU ends them, as established connections want it.
    """

    folder: Path
    flags: CheckpointFlags
    created_at: str
    leave: bool = True
    parent: str | None = None


class NotExited(Exception):
    """`exit_status` was asked of a process that still runs."""


class Streams(Protocol):
    """containerd's IO and Console: a process's input, terminal, and output without a log.

    Nothing is opened before it is needed: the monitor withholds a process's end from a client
    that does not read. Input is one user's at a time; who that is, others decide.
    """

    @property
    def io(self) -> Io: ...

    @property
    def takes_input(self) -> bool:
        """It was made with stdin or a terminal."""
        ...

    @property
    def input_over(self) -> bool:
        """No input can come any more: it has none, or it has had its end."""
        ...

    def open_input(self) -> None:
        """From now on `write` may be called. Idempotent.

        Raises:
            WrongState: it takes no input, or no more.
            RuntimeFailed: the process is over, or its monitor is gone.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Input; returns once it is taken. A call that is canceled has written a part of it.

        What comes after the process's end is dropped.

        Raises:
            WrongState: stdin has had its end, or the monitor is gone.
        """
        ...

    def end_input(self) -> None:
        """The user of the input is done with it, or gone.

        The process then reads the end of its stdin, after all that was written; but a terminal,
        or stdin without `stdin_once`, waits for the next user. Idempotent.
        """
        ...

    async def resize(self, rows: int, columns: int) -> None:
        """The terminal's size; its programs get SIGWINCH.

        Raises:
            Unsupported: it has no terminal.
            RuntimeFailed: the monitor is gone or hangs.
        """
        ...

    def unlogged(self, *, whole: bool = False) -> LiveSource:
        """The output of a process without a log: from now on, or all that is still kept.

        It ends with the monitor's last word; the process's end is not in it.

        Raises:
            Unsupported: it has a log.
        """
        ...


class Root(Protocol):
    """A container's root, lent. It is asked back before its file system goes."""

    @property
    def fd(self) -> int:
        """O_PATH; open until it is released."""
        ...

    def on_recall(self, call: Callable[[], None]) -> None:
        """`call` is to end all use of it; then it is to be released, soon."""
        ...

    def release(self) -> None:
        """Gives it back. Idempotent."""
        ...


class Process(Protocol):
    """containerd's Process: init, or one that was added by exec."""

    @property
    def id(self) -> str: ...

    @property
    def container(self) -> Container: ...

    @property
    def spec(self) -> Mapping[str, Any]:
        """The OCI process (runtime-spec config.md, `process`)."""
        ...

    @property
    def trace(self) -> ProcessTrace: ...

    @property
    def pid(self) -> int: ...

    @property
    def exit_fd(self) -> int:
        """A pidfd, readable once the process is over; -1 where it was over before."""
        ...

    @property
    def watch(self) -> ExitWatch: ...

    @property
    def streams(self) -> Streams: ...

    @property
    def fifos(self) -> Fifos | None:
        """Where it was made with `io.fifo`; the driver moves what goes through them."""
        ...

    def exit_status(self) -> Ended:
        """How it ended.

        Raises:
            NotExited: it has not.
        """
        ...

    def signal(self, number: int) -> None:
        """Sends a signal, by pidfd: never to another process of the same pid.

        Raises:
            NotFound: the process is over.
        """
        ...

    def output(self, limit: int) -> Output:
        """The head of each stream, `limit` bytes at most, as the monitor logged it."""
        ...

    def discard(self) -> None:
        """Removes what the monitor of an ended exec wrote, once its exit is committed.

        Its log stays. Nothing happens to init, or to one that still runs.
        """
        ...

    def close(self) -> None:
        """Lets go of file descriptors; the process itself is not touched."""
        ...


class Container(Protocol):
    """containerd's Container: one run of one incarnation."""

    @property
    def id(self) -> str:
        """The runtime's id, `<incarnation>-<run>`."""
        ...

    @property
    def bundle(self) -> Path: ...

    @property
    def cgroup(self) -> str: ...

    @property
    def pid(self) -> int: ...

    @property
    def init(self) -> Process: ...

    def processes(self) -> Sequence[Process]:
        """init first, then the execs in the order of their birth."""
        ...

    async def state(self) -> str:
        """The runtime's own word: `creating`, `created`, `running`, `paused`, `stopped`.

        Raises:
            NotFound: the runtime does not know it.
            RuntimeFailed: the runtime would not say.
        """
        ...

    async def start(self) -> Process:
        """Lets init run the user's program.

        Raises:
            RuntimeFailed: in the runtime's own words (`details.exit_code` 126: not
                executable, 127: not found, where the runtime says so).
        """
        ...

    async def exec(
        self, exec_id: str, spec: ProcessSpec, io: Io = PLAIN_IO, size: TerminalSize | None = None
    ) -> Process:
        """One more process in the running container; a terminal has its `size` from the start.

        Raises:
            RuntimeFailed, Invalid: nothing was started.
        """
        ...

    async def find_execs(self) -> None:
        """Adds execs that have a living monitor and are not among `processes` yet.

        What is left of a launch that never came so far is ended: call it only where
        no `exec` is under way.
        """
        ...

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...

    async def pre_dump(self, folder: Path, name: str) -> None:
        """Writes the memory into `folder`/`name` while the container runs.

        Raises:
            Unsupported: the kernel does not track written memory.
            RuntimeFailed: as `checkpoint`.
        """
        ...

    async def checkpoint(self, dump: Dump) -> None:
        """Writes CRIU's images and its log. A frozen container stays so.

        What it was made of is read, never changed. Cannot be cut short: shield it.

        Raises:
            RuntimeFailed: in CRIU's words; `details.log` is its log's tail. The processes go on,
                unless CRIU itself was killed in their midst.
        """
        ...

    async def describe(self, dump: Dump) -> None:
        """Writes the two configs beside them; also once the processes are over."""
        ...

    async def dump_over(self, folder: Path) -> bool:
        """Waits for the end of a dump into `folder` that a former life of the agent has begun.

        Whether CRIU has written all of it.
        """
        ...

    def thaw(self) -> None:
        """Whatever froze it: a pause, or a CRIU that was killed. Idempotent."""
        ...

    async def update(self, limits: Limits) -> None:
        """Changes only the limits that are given.

        Raises:
            RuntimeFailed: in the runtime's own words.
        """
        ...

    def stats(self) -> Stats:
        """Raises NotFound: its cgroup is gone."""
        ...

    def usage(self) -> Usage | None:
        """Its figures for a live table; None where the cgroup is gone."""
        ...

    def cpu_us(self) -> int | None:
        """The CPU time used so far; None where the cgroup is gone. Cheap: every exit asks."""
        ...

    def oom(self) -> AsyncIterator[OomCounters]:
        """Yields after each rise of the kill counter, until `close`."""
        ...

    def oom_counters(self) -> OomCounters | None:
        """The counters now; None where the cgroup is gone."""
        ...

    def borrow_root(self) -> Root:
        """Its root, to be released.

        While its init lives it is what that sees, with all its mounts, also a paused one's;
        else the file system that its last run had.

        Raises:
            NotFound: nothing is mounted any more (another boot).
            Denied: the agent may not look there.
        """
        ...

    def signal_all(self, number: int) -> None:
        """Signals every process in the cgroup: the last resort of stop and delete.

        SIGKILL also ends the frozen ones: no `resume` is needed, nor possible, afterwards.
        """
        ...

    async def delete(self, *, keep_layer: bool = False) -> None:
        """Removes runtime state, cgroup, mounts and folders; kills what still lives.

        Idempotent. `keep_layer` keeps the writable layer and logs for the next run.

        Raises:
            RuntimeFailed: something could not be removed; it names what.
        """
        ...

    def close(self) -> None:
        """Lets go of file descriptors and watches; the container is not touched."""
        ...


class Runtime(Protocol):
    """The driver: makes containers and finds them again."""

    @property
    def available(self) -> Sequence[RuntimeInfo]:
        """What was probed at start, the default first."""
        ...

    def check(self, spec: ContainerSpec, rules: str = EVERYBODY) -> Planned:
        """How `spec` will run, by the named rules; called before anything is journalled.

        Raises:
            Invalid, Denied, Unsupported, NotFound: what in the spec, the bundle or the
                node is at fault. Nothing was changed.
        """
        ...

    async def create(self, plan: RunPlan, seen_oom_kills: int = 0) -> Container:
        """Creates the container: its init waits for `start`, its watches are armed.

        Raises:
            RuntimeFailed, Invalid: nothing of it is left.
        """
        ...

    async def reattach(
        self, plan: RunPlan, traces: Sequence[ProcessTrace], seen_oom_kills: int = 0
    ) -> Container:
        """Finds a container again that a former life of the agent created.

        Works also where processes have ended since: their watches tell it.

        Raises:
            NotFound: nothing of it is left.
        """
        ...

    @property
    def criu(self) -> CriuInfo:
        """Whether checkpoints can be taken and restored here, as probed at start."""
        ...

    async def check_image(self, folder: Path, spec: ContainerSpec, rules: str) -> None:
        """Whether what a checkpoint brings with it is allowed by the named rules.

        Its config, and the rights of its processes: a restore gives them back whatever the new
        config.json says (criu(8)).

        Raises:
            Denied, Invalid: it is not, or cannot be read. Nothing was changed.
        """
        ...

    async def restore(self, plan: RunPlan, folder: Path, flags: CheckpointFlags) -> Container:
        """As `create`, but init goes on from the checkpoint in `folder`, which was verified.

        The writable layer must be as it was then.

        Raises:
            RuntimeFailed: in CRIU's words; `details.log` is its log's tail. Nothing of it is left.
        """
        ...

    async def restored(self, plan: RunPlan) -> Container:
        """What a former life of the agent has restored, and died before it wrote that down.

        Raises:
            NotFound: it never came so far: `undo` it.
        """
        ...

    async def undo(self, plan: RunPlan, *, keep_layer: bool = False) -> None:
        """Removes whatever of a run that nobody can reattach is left. Idempotent.

        `keep_layer` keeps the writable layer and logs for the next run.
        """
        ...
