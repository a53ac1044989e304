"""What a container is made of, as the caller asks for it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import MAX_SAFE_INTEGER, Counter, Labels, Record, Seconds

HostPath = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]*$", max_length=4096)]
"""An absolute path, on the node (its settings say which roots are allowed) or inside."""

Argument = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$", max_length=131_072)]
Variable = Annotated[str, msgspec.Meta(pattern=r"^[^=\x00]+=[^\x00]*$", max_length=131_072)]
Signal = Annotated[str, msgspec.Meta(pattern=r"^((SIG)?[A-Z][A-Z0-9+-]{0,15}|[0-9]{1,2})$(?!\n)")]
"""`TERM`, `SIGTERM` or `15`."""

UserId = Annotated[int, msgspec.Meta(ge=0, le=4_294_967_294)]


class Source(Record, frozen=True, kw_only=True):
    """Where the container comes from: exactly one of `bundle` and `rootfs`.

    `bundle`: an OCI bundle, run with its own config.json.
    `rootfs`: a folder that becomes an overlay's lower layer, with a writable
    upper layer per incarnation unless `readonly`.
    Either must lie below one of the node's allowed roots (`runtime.bundle_roots`).
    """

    bundle: HostPath | None = None
    rootfs: HostPath | None = None
    readonly: bool = False

    def __post_init__(self) -> None:
        if (self.bundle is None) == (self.rootfs is None):
            raise Invalid("source: give either `bundle` or `rootfs`")


class User(Record, frozen=True, kw_only=True):
    """Numeric ids inside the container."""

    uid: UserId = 0
    gid: UserId = 0
    additional_gids: Annotated[list[UserId], msgspec.Meta(max_length=64)] = []


class ProcessSpec(Record, frozen=True, kw_only=True):
    """A process to run.

    Fields left out come from the bundle's config.json, for an exec from the
    container's own process, and last from the node's defaults (cwd `/`, uid 0, no
    new privileges). `env` is added to what stands there.
    """

    args: Annotated[list[Argument], msgspec.Meta(min_length=1, max_length=1024)]
    env: Annotated[list[Variable], msgspec.Meta(max_length=1024)] = []
    cwd: HostPath | None = None
    user: User | None = None
    no_new_privileges: bool | None = None


class Limits(Record, frozen=True, kw_only=True):
    """Limits of the container's cgroup; a field left out is not limited, or not changed.

    Units: bytes, processes, hundredths of a CPU (`cpu_percent` 150 is one and a
    half CPUs), relative weight 1 to 10000 as in cgroup v2.
    """

    memory_bytes: Annotated[int, msgspec.Meta(ge=1_048_576, le=MAX_SAFE_INTEGER)] | None = None
    swap_bytes: Counter | None = None
    pids: Annotated[int, msgspec.Meta(ge=1, le=4_194_304)] | None = None
    cpu_percent: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    cpu_weight: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    cpuset: Annotated[str, msgspec.Meta(pattern=r"^[0-9,-]{1,256}$(?!\n)")] | None = None


class Mount(Record, frozen=True, kw_only=True):
    """A bind mount from the node; sources must lie below the node's allowed roots."""

    source: HostPath
    target: HostPath
    readonly: bool = True


class Network(Record, frozen=True, kw_only=True):
    """`none`: loopback alone. `host`: the node's. `path`: a network namespace's path."""

    mode: Literal["none", "host", "path"] = "none"
    path: HostPath | None = None

    def __post_init__(self) -> None:
        if (self.mode == "path") != (self.path is not None):
            raise Invalid("network: `path` goes with mode `path`, and with no other")


class Io(Record, frozen=True, kw_only=True):
    """How the process's streams are kept.

    `stdin`: it has one. It ends with the first session that has it, written to or not, unless
    another one takes it (docker's StdinOnce), and with the agent that dies meanwhile; with
    `stdin_once` off never. `tty`: a terminal, whose input never ends. `log` off: what no session
    reads is dropped. `fifo`: FIFOs on the node, beside all else. `ship`: the log also goes into
    the stream WHARFSIDE_LOGS.
    """

    stdin: bool = False
    stdin_once: bool = True
    tty: bool = False
    log: bool = True
    fifo: bool = False
    ship: bool = False

    def __post_init__(self) -> None:
        if self.ship and not self.log:
            raise Invalid("io: `ship` takes from the log, so it goes with `log`")


class Restart(Record, frozen=True, kw_only=True):
    """When the agent starts the container again by itself.

    `max_retries` goes with `on-failure`: so many restarts after a start by command.
    """

    policy: Literal["no", "on-failure", "always", "unless-stopped"] = "no"
    max_retries: Annotated[int, msgspec.Meta(ge=1, le=MAX_SAFE_INTEGER)] | None = None

    def __post_init__(self) -> None:
        if self.max_retries is not None and self.policy != "on-failure":
            raise Invalid(f"restart: max_retries goes with on-failure, not with {self.policy}")


class ContainerSpec(Record, frozen=True, kw_only=True):
    """All that `create` takes besides the name; kept, and told by `inspect`.

    `stop_on_disconnect_s`: the node itself stops it once it has heard no server for so long.
    """

    source: Source
    process: ProcessSpec | None = None
    io: Io = msgspec.field(default_factory=Io)
    limits: Limits | None = None
    network: Network | None = None
    mounts: Annotated[list[Mount], msgspec.Meta(max_length=64)] = []
    hostname: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.-]{1,63}$(?!\n)")] | None = None
    labels: Labels = {}
    restart: Restart | None = None
    runtime: Literal["crun", "runc"] | None = None
    auto_remove: bool = False
    checkpointable: bool = False
    stop_signal: Signal = "TERM"
    grace_s: Seconds = 10.0
    stop_on_disconnect_s: Annotated[float, msgspec.Meta(ge=1, le=10_000_000)] | None = None

    def __post_init__(self) -> None:
        if self.auto_remove and self.restart is not None and self.restart.policy != "no":
            raise Invalid(
                f"auto_remove and restart {self.restart.policy} contradict each other: "
                "give one of them"
            )
