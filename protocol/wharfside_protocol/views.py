"""What a node tells of itself and of what it runs: answers, presence and projections."""

from __future__ import annotations

from typing import Any

from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.records import Counter, Incarnation, Labels, Name, Record, Timestamp
from wharfside_protocol.specs import ContainerSpec, ProcessSpec
from wharfside_protocol.states import ContainerState, ProcessState


class Standing(Record, frozen=True, kw_only=True):
    """Which container, and which life of it: fence later commands with these."""

    container: Name
    incarnation: Incarnation
    run: Counter
    revision: Counter


class RestoredFrom(Record, frozen=True, kw_only=True):
    """Which life of which container a checkpoint was taken of."""

    checkpoint: Name
    digest: str
    container: Name
    incarnation: Incarnation
    run: Counter


class Fifos(Record, frozen=True, kw_only=True):
    """FIFOs on the node, as containerd's first interface has them; nil: it has no such stream.

    Output waits there for a reader, 64 KiB of it beside the log; the last writer's end is stdin's,
    unless `stdin_once` is off.
    """

    stdin: str | None = None
    stdout: str | None = None
    stderr: str | None = None


class ProcessView(Record, frozen=True, kw_only=True):
    """One process of a container; `pid` is the node's."""

    process: Name
    state: ProcessState
    spec: ProcessSpec | None = None
    pid: Counter | None = None
    started_at: Timestamp | None = None
    exit: ExitStatus | None = None
    fifos: Fifos | None = None


class ContainerView(Standing, frozen=True, kw_only=True):
    """A container in a list; times, exit and kills are those of the present run.

    `restarts` counts what the policy did since the last start by command; `restart_at` is
    when it starts the next run, where it is about to.
    """

    state: ContainerState
    stopping: bool = False
    pid: Counter | None = None
    created_at: Timestamp
    started_at: Timestamp | None = None
    deleted_at: Timestamp | None = None
    exit: ExitStatus | None = None
    restarts: Counter = 0
    restart_at: Timestamp | None = None
    oom_kills: Counter = 0
    labels: Labels = {}
    runtime: str | None = None
    command: list[str] = []


class ContainerDetails(ContainerView, frozen=True, kw_only=True):
    """All that `inspect` tells. `restored_from`: the checkpoint that it began as.

    `log`: the file on the node that init's output of this run goes to, rotated ones beside it;
    nil where there is none (`io.log` off, not begun, deleted).
    """

    spec: ContainerSpec
    bundle: str
    cgroup: str
    log: str | None = None
    oci_process: dict[str, Any] | None = None
    processes: list[ProcessView] = []
    restored_from: RestoredFrom | None = None


class RuntimeInfo(Record, frozen=True, kw_only=True):
    """An OCI runtime on the node, as probed at start."""

    name: str
    version: str
    path: str
    checkpoint: bool = False


class CriuInfo(Record, frozen=True, kw_only=True):
    """Whether the node can checkpoint and restore. Where not, `says` has CRIU's own words.

    `pre_dump`: its kernel tells which memory was written, so that a checkpoint can be prepared
    while the container runs.
    """

    usable: bool
    version: str | None = None
    path: str | None = None
    says: str = ""
    pre_dump: bool = False


class ContainerCounts(Record, frozen=True, kw_only=True):
    created: Counter = 0
    running: Counter = 0
    paused: Counter = 0
    stopped: Counter = 0


class BusView(Record, frozen=True, kw_only=True):
    """The node's connection, as the agent sees it.

    `reconnects`: how often in this life a new client took over; `last_error`: why one
    was given up or refused last; `slow_consumers`: messages that it could not take in time.
    """

    server: str = ""
    reconnects: Counter = 0
    slow_consumers: Counter = 0
    last_error: str | None = None


class Resources(Record, frozen=True, kw_only=True):
    """Bytes, hundredths of a CPU, processes."""

    memory_bytes: Counter = 0
    cpu_percent: Counter = 0
    pids: Counter = 0


class CapacityView(Record, frozen=True, kw_only=True):
    """What a node may promise its containers, and has: limits, not what they use.

    `total` is what may be promised in all: the host's reserve is off it, and it may be more than
    the machine has. Of the `enforced` resources (memory, cpu, pids) no more is promised than is
    `free`; the others are told. `unlimited` counts containers without one of the limits.
    """

    total: Resources
    promised: Resources
    free: Resources
    enforced: list[str] = []
    unlimited: Counter = 0
    containers_at_most: Counter | None = None


class NodeInfo(Record, frozen=True, kw_only=True):
    """A node: the value under its key in WHARFSIDE_NODES, and the answer to `info`.

    `life` is unguessable and new with every start of the agent: an agent knows its
    own puts by it. A node is `silent` 90 s after its last put by the server's time.
    `state` is `up`, `draining` or `down`. `ready` names what is wanting, and why: nothing, where
    it is empty.
    `events_missed` counts changes that no event told until the relist found them: bugs.
    `orphans` names incarnations that live here and are not in the store.
    `credentials_expire_at`: when the first of what lets it in ends (JWT, certificate, CA).
    `mailbox` is `ok`, `missing` (nobody made it, or it was deleted) or `offline` (it was
    there, and its server does not answer): durable commands wait meanwhile.
    """

    node: Name
    node_id: str
    boot_id: str
    life: str
    epoch: Counter
    version: str
    state: str
    started_at: Timestamp
    at: Timestamp
    labels: Labels = {}
    since_seq: Counter | None = None
    take_over: bool = False
    runtimes: list[RuntimeInfo] = []
    criu: CriuInfo | None = None
    cgroup: str | None = None
    kernel: str | None = None
    architecture: str | None = None
    cpus: Counter | None = None
    memory_bytes: Counter | None = None
    containers: ContainerCounts = ContainerCounts()
    capacity: CapacityView | None = None
    published_through: Counter | None = None
    mailbox: str | None = None
    ready: dict[str, str] = {}
    bus: BusView = BusView()
    events_missed: Counter = 0
    orphans: list[str] = []
    credentials_expire_at: Timestamp | None = None


class ContainerProjection(Standing, frozen=True, kw_only=True):
    """The latest state under `<node>.<container>` in WHARFSIDE_CONTAINERS; can be rebuilt."""

    node: Name
    epoch: Counter
    seq: Counter
    state: ContainerState
    stopping: bool = False
    pid: Counter | None = None
    started_at: Timestamp | None = None
    exit: ExitStatus | None = None
    restarts: Counter = 0
    restart_at: Timestamp | None = None
    labels: Labels = {}
    at: Timestamp
