"""The agent's settings, typed: each field with its unit, default and reason."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from wharfside_agent.core.capacity import Capacity
from wharfside_agent.core.policy.rules import Policy
from wharfside_agent.core.trust import Require, Trust, TrustedKey
from wharfside_protocol.errors import Invalid
from wharfside_protocol.event_facts import PressureOn
from wharfside_protocol.io_frames import BULK_WINDOW, Window
from wharfside_protocol.records import Labels
from wharfside_protocol.subjects import DEFAULT_PREFIX


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. A field that is not known is an error: it is a typing mistake."""


def default_node_name() -> str:
    """The host's name as one token."""
    return platform.node().split(".")[0].lower() or "node"


class NodeSettings(Group, frozen=True, kw_only=True):
    """`name` is one subject token and never changes for a state_dir; labels are free."""

    name: str = msgspec.field(default_factory=default_node_name)
    labels: Labels = {}
    take_over: bool = False


class NatsSettings(Group, frozen=True, kw_only=True):
    """How to reach the bus. Files are read anew at every connect, so they can be rotated.

    `ping_interval_s`: a silent connection is noticed after three of these. `unacked_s`:
    one that takes no bytes ends after so long. `unanswered_s`: one on which nothing is
    heard, or no request answered, is replaced. `spread_s`: after a loss the first try
    comes at a random moment within so long, so that a fleet does not come back as one.
    """

    servers: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("nats://127.0.0.1:4222",)
    prefix: str = DEFAULT_PREFIX
    creds: str | None = None
    nkey_seed: str | None = None
    user: str | None = None
    password: str | None = None
    password_file: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    ping_interval_s: Annotated[float, msgspec.Meta(ge=0.1, le=120)] = 10.0
    unacked_s: Annotated[float, msgspec.Meta(ge=0.5, le=120)] = 15.0
    unanswered_s: Annotated[float, msgspec.Meta(ge=1, le=600)] = 45.0
    spread_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 3.0


class PathSettings(Group, frozen=True, kw_only=True):
    """`{node}` stands for the node's name. run_dir belongs on a tmpfs: it dies with the boot."""

    state_dir: str = "/var/lib/wharfside/{node}"
    run_dir: str = "/run/wharfside/{node}"


class TrustedKeySettings(Group, frozen=True, kw_only=True):
    """`key` is a public nkey (`U...`) that proves `actor`, who has `role` in the node's policy."""

    key: str
    actor: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    role: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


class TrustSettings(Group, frozen=True, kw_only=True):
    """Signed commands. `require`: which must be signed by one of `keys`: none, all that change
    something, or all. Without keys no signature is looked at."""

    keys: tuple[TrustedKeySettings, ...] = ()
    require: Require = "never"


class AuditSettings(Group, frozen=True, kw_only=True):
    """`events`: what `audit` events tell of commands: all that act, denied ones, or nothing."""

    events: Literal["all", "denials", "none"] = "all"


class RuntimeSettings(Group, frozen=True, kw_only=True):
    """`default`: tried first; the other serves where it is asked for or needed.

    `bundle_roots`: bundles and root file systems must lie below one of these.
    `mount_roots`: so must the sources of bind mounts; none by default.
    `cgroup_parent`: the cgroup that the agent may fill; `{node}` as above. Left out:
    with cgroup v2 that of wharfside-containers.service, or the agent's own where it is
    alone in one; else `/wharfside/{node}`.
    `on_monitor_lost`: a container whose conmon died is watched to its end, or stopped
    with its grace.
    `favordynmods`: the host's cgroup2 is remounted with this option, for launches without a wait
    (runtime/favored_moves.py); it stays so.
    """

    default: Literal["crun", "runc"] = "crun"
    bundle_roots: tuple[str, ...] = ("/var/lib/wharfside/bundles",)
    mount_roots: tuple[str, ...] = ()
    cgroup_parent: str | None = None
    on_monitor_lost: Literal["watch", "stop"] = "watch"
    favordynmods: bool = False


class LimitSettings(Group, frozen=True, kw_only=True):
    """`lanes`: containers worked on at once. `requests`: commands under way at once, three quarters
    of them at most by ops that viewers may ask for.

    `mailbox`: durable commands accepted and not done; the others wait in the stream.
    `sessions`: I/O sessions open at once, each with up to two windows of memory (`sessions.window`
    for the first eighth of them, 512 KiB for the others); one peer has at most three quarters, and
    so have all `logs` together.
    `archives`: those of them that copy files, each with a thread that does as fast as it can.
    """

    lanes: Annotated[int, msgspec.Meta(ge=1, le=256)] = 32
    lane_depth: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64
    requests: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 256
    mailbox: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 256
    sessions: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 256
    archives: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8


class SessionSettings(Group, frozen=True, kw_only=True):
    """`idle_s`: a session whose peer was not heard for so long ends.

    `window`: bytes on their way each way at most, though a peer may ask for more: over a
    long line a session carries one window a round trip, and over a slow one the node's answers
    wait behind it. With more than an eighth of `limits.sessions` open, the next have 512 KiB.
    """

    idle_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    window: Window = BULK_WINDOW


class RelistSettings(Group, frozen=True, kw_only=True):
    """The comparison of the machine with the store, every `every_s` seconds.

    `patience_s`: what is found is believed once it has stood for so long. Exits have
    waits of their own (conmon 10 s, a reaper 10 s, execs 2 s): less would doubt them.
    """

    every_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    patience_s: Annotated[float, msgspec.Meta(ge=0)] = 25.0


Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class PressureSettings(Group, frozen=True, kw_only=True):
    """`pressure` events of containers in which some task was stalled for so much of the time, for
    2 s and more; 0: none. `again_s`: seconds between two of one container and resource.

    Only memory by default: one process that reads a disk is stalled on io nearly always, and two
    on one CPU each half of the time, without anything being wrong.
    """

    memory_percent: Percent = 15.0
    io_percent: Percent = 0.0
    cpu_percent: Percent = 0.0
    again_s: Annotated[float, msgspec.Meta(ge=10, le=86_400)] = 30.0

    @property
    def shares(self) -> dict[PressureOn, float]:
        """Of the time, from 0 to 1."""
        percents = (self.memory_percent, self.io_percent, self.cpu_percent)
        return {on: each / 100 for on, each in zip(PressureOn, percents, strict=True)}


class OutboxSettings(Group, frozen=True, kw_only=True):
    """`max_events` may wait for the bus. The last tenth is kept for terminal ones.

    `recognized_s`: so long the stream surely knows an event by its id: its duplicate
    window (5 min as bootstrap makes it) and a minute less.
    """

    max_events: Annotated[int, msgspec.Meta(ge=20)] = 100_000
    recognized_s: Annotated[float, msgspec.Meta(gt=0)] = 240.0


class DiskSettings(Group, frozen=True, kw_only=True):
    """`reserve_mib`: a file in state_dir of so many MiB, given up for exits on a full disk.

    `keep_free_mib`: so much a copy into a container leaves on the file system it goes to.
    """

    reserve_mib: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    keep_free_mib: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 64


class CheckpointSettings(Group, frozen=True, kw_only=True):
    """`max_mib`: all checkpoints of the node together; one that would go beyond it is `busy`."""

    max_mib: Annotated[int, msgspec.Meta(ge=1, le=1024 * 1024 * 1024)] = 20 * 1024


class MetricsSettings(Group, frozen=True, kw_only=True):
    """`listen`: host and port (`127.0.0.1:9464`, `[::1]:9464`) of an HTTP listener with
    `/metrics` for Prometheus, `/healthz` and `/readyz`. Off where left out, as containerd's:
    whoever reaches it reads it, so it is for loopback or a network of one's own.
    """

    listen: Annotated[str, msgspec.Meta(pattern=r"^.+:[0-9]{1,5}$")] | None = None


class TraceSettings(Group, frozen=True, kw_only=True):
    """`endpoint`: URL that OTLP over HTTP goes to (`http://127.0.0.1:4318/v1/traces`); off where
    left out. Needs the extra `otel`. `sample`: share of the commands without a trace of their own
    that begin one; those with one follow its flag.
    """

    endpoint: Annotated[str, msgspec.Meta(pattern="^https?://")] | None = None
    sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class SnapshotSettings(Group, frozen=True, kw_only=True):
    """`every_s`: seconds between two `snapshot` events of the node."""

    every_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0


class LogSettings(Group, frozen=True, kw_only=True):
    """`auto`: for people on a terminal, JSON lines elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class ProcessLogSettings(Group, frozen=True, kw_only=True):
    """What is kept of each process's output, in each run.

    `max_files` of about `max_bytes` each; the oldest goes, and its readers are told so. A
    container keeps the logs of its last `max_runs` runs, and of `max_execs` execs.
    """

    max_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024, le=1024 * 1024 * 1024)] = 16 * 1024 * 1024
    max_files: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 5
    max_runs: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 16
    max_execs: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100


class Settings(Group, frozen=True, kw_only=True):
    node: NodeSettings = msgspec.field(default_factory=NodeSettings)
    nats: NatsSettings = NatsSettings()
    paths: PathSettings = PathSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    policy: Policy = Policy()
    capacity: Capacity = Capacity()
    limits: LimitSettings = LimitSettings()
    sessions: SessionSettings = SessionSettings()
    relist: RelistSettings = RelistSettings()
    pressure: PressureSettings = PressureSettings()
    outbox: OutboxSettings = OutboxSettings()
    disk: DiskSettings = DiskSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    snapshot: SnapshotSettings = SnapshotSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TraceSettings = TraceSettings()
    log: LogSettings = LogSettings()
    logs: ProcessLogSettings = ProcessLogSettings()
    trust: TrustSettings = TrustSettings()
    audit: AuditSettings = AuditSettings()

    @property
    def state_dir(self) -> Path:
        return Path(self.named(self.paths.state_dir))

    @property
    def run_dir(self) -> Path:
        return Path(self.named(self.paths.run_dir))

    @property
    def cgroup_parent(self) -> str | None:
        parent = self.runtime.cgroup_parent
        return None if parent is None else self.named(parent)

    def make_trust(self, remembers_since: int = 0) -> Trust:
        """
        Raises:
            Invalid: a key is no public nkey of a user, or stands there twice.
        """
        keys = [TrustedKey(each.key, each.actor, each.role) for each in self.trust.keys]
        if len({each.key for each in keys}) < len(keys):
            raise Invalid("trust.keys: a key stands there twice: it proves one actor")
        if not keys and self.trust.require != "never":
            raise Invalid("trust.require without trust.keys: nobody could give a command")
        return Trust(keys, self.trust.require, remembers_since)

    def named(self, template: str) -> str:
        """`template` with the node's name in it."""
        return template.replace("{node}", self.node.name)
