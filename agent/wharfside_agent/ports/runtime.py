"""The runtime contract: containerd's first Container and Process interface, in Python.

Each member is named in docs/seed-map.md, with its code and test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wharfside_agent.core.policy.limits import UNLIMITED, Amounts
from wharfside_agent.core.policy.rules import EVERYBODY
from wharfside_agent.ports.process import PLAIN_IO, Process, ProcessTrace, Root
from wharfside_agent.ports.watcher import OomCounters
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.io_commands import TerminalSize
from wharfside_protocol.specs import ContainerSpec, Io, Limits, ProcessSpec
from wharfside_protocol.stats import Stats, Usage
from wharfside_protocol.views import CriuInfo, RuntimeInfo


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

    async def freeze(self) -> None:
        """As `pause`, for a moment: nothing but the cgroup is told.

        Raises:
            RuntimeFailed: in the runtime's own words.
        """
        ...

    def thaw(self) -> None:
        """Whatever froze it: `freeze`, a pause, or a CRIU that was killed. Idempotent."""
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

    def expect(self) -> None:
        """Something is about to be launched: what can begin before that, begins. Never waits,
        never fails."""
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
