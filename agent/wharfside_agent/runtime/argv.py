"""The command lines of crun, runc and conmon. Pure: nothing is run or looked up here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.specs import Io


@dataclass(frozen=True, slots=True)
class OciBinary:
    """An OCI runtime on this machine and the folder of its state (`--root`)."""

    name: str
    path: Path
    root: Path

    def argv(self, *words: str) -> list[str]:
        return [str(self.path), f"--root={self.root}", *words]


@dataclass(frozen=True, slots=True)
class MonitorDir:
    """What conmon and the runtime write for one process. Fresh for every process."""

    folder: Path

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    @property
    def conmon_pid_file(self) -> Path:
        return self.folder / "conmon.pid"

    @property
    def persist(self) -> Path:
        return self.folder / "persist"

    @property
    def process_spec(self) -> Path:
        """The OCI process of an exec, as handed to the runtime."""
        return self.folder / "process.json"

    @property
    def io(self) -> Path:
        """How an exec's streams are kept, for a later life of the agent."""
        return self.folder / "io.json"

    @property
    def words(self) -> Path:
        """What the runtime has to say, where the process gets a terminal."""
        return self.folder / "words"

    @property
    def input_mark(self) -> Path:
        """There once a connection was made whose end is the end of stdin."""
        return self.folder / "input"


@dataclass(frozen=True, slots=True)
class Streams:
    """A process's streams; `log` is the file, where there is one."""

    io: Io
    log: Path


def conmon_create(
    conmon: Path,
    oci: OciBinary,
    runtime_id: str,
    bundle: Path,
    monitor: MonitorDir,
    streams: Streams,
) -> list[str]:
    """conmon watching a new container (conmon(8))."""
    return _conmon(conmon, oci, runtime_id, bundle, monitor, streams)


def conmon_restore(
    conmon: Path,
    oci: OciBinary,
    runtime_id: str,
    bundle: Path,
    monitor: MonitorDir,
    streams: Streams,
    images: Path,
    flags: CheckpointFlags,
) -> list[str]:
    """conmon watching a container that goes on from a checkpoint; CRIU logs into the bundle."""
    argv = _conmon(conmon, oci, runtime_id, bundle, monitor, streams)
    return [*argv, f"--restore={images}", *(f"--runtime-opt={each}" for each in _allowed(flags))]


def checkpoint(
    oci: OciBinary,
    runtime_id: str,
    images: Path,
    work: Path,
    flags: CheckpointFlags,
    *,
    parent: str | None = None,
    leave_running: bool = True,
) -> list[str]:
    """`parent`: the pre-dump to build on, relative to `images`."""
    return oci.argv(
        "checkpoint",
        f"--image-path={images}",
        f"--work-path={work}",
        *(["--leave-running"] if leave_running else []),
        *([f"--parent-path={parent}"] if parent else []),
        *_allowed(flags),
        runtime_id,
    )


def pre_dump(oci: OciBinary, runtime_id: str, images: Path, work: Path) -> list[str]:
    """The memory alone; the container runs on."""
    words = ("--pre-dump", f"--image-path={images}", f"--work-path={work}")
    return oci.argv("checkpoint", *words, runtime_id)


def _allowed(flags: CheckpointFlags) -> list[str]:
    """What CRIU takes along only where it is told to; the same at both ends."""
    switches = {
        "--tcp-established": flags.tcp,
        "--ext-unix-sk": flags.unix_sockets,
        "--shell-job": flags.shell,
        "--file-locks": flags.file_locks,
    }
    return [switch for switch, on in switches.items() if on]


def conmon_exec(
    conmon: Path, oci: OciBinary, runtime_id: str, monitor: MonitorDir, streams: Streams
) -> list[str]:
    """conmon watching one more process in a running container.

    Its bundle is the process's own monitor folder: conmon makes its attach socket and
    control FIFO there, and in the container's they would replace those of init. Without a log
    it waits for a client before the process is made: nothing else would keep its first output.
    """
    argv = _conmon(conmon, oci, runtime_id, monitor.folder, monitor, streams)
    attach = [] if streams.io.log else ["--exec-attach"]
    return [*argv, "--exec", "--exec-process-spec", str(monitor.process_spec), *attach]


def _conmon(
    conmon: Path,
    oci: OciBinary,
    runtime_id: str,
    bundle: Path,
    monitor: MonitorDir,
    streams: Streams,
) -> list[str]:
    return [
        str(conmon),
        "--api-version=1",
        f"--cid={runtime_id}",
        f"--cuuid={runtime_id}",
        f"--name={runtime_id}",
        f"--runtime={oci.path}",
        f"--runtime-arg=--root={oci.root}",
        f"--bundle={bundle}",
        f"--container-pidfile={monitor.pid_file}",
        f"--conmon-pidfile={monitor.conmon_pid_file}",
        f"--persist-dir={monitor.persist}",
        "--full-attach",
        # The exit is told from the page cache, which outlives every process; the fsync
        # would only stand between a container's end and its event.
        "--no-sync-log",
        f"--log-path=k8s-file:{streams.log}" if streams.io.log else "--log-path=off",
        *_input(streams.io),
        *_words(streams.io, monitor),
    ]


def _words(io: Io, monitor: MonitorDir) -> list[str]:
    """crun looks for an exec's program when its own stderr is that terminal already, and conmon
    reads none of it: its words would be lost."""
    return [f"--runtime-arg=--log={monitor.words}"] if io.tty else []


def _input(io: Io) -> list[str]:
    """A terminal's input has no end; nor has stdin, unless it is given to one client alone."""
    if io.tty:
        return ["--terminal", "--leave-stdin-open"]
    if not io.stdin:
        return []
    return ["--stdin"] if io.stdin_once else ["--stdin", "--leave-stdin-open"]


def start(oci: OciBinary, runtime_id: str) -> list[str]:
    return oci.argv("start", runtime_id)


def state(oci: OciBinary, runtime_id: str) -> list[str]:
    return oci.argv("state", runtime_id)


def pause(oci: OciBinary, runtime_id: str) -> list[str]:
    return oci.argv("pause", runtime_id)


def resume(oci: OciBinary, runtime_id: str) -> list[str]:
    return oci.argv("resume", runtime_id)


def update(oci: OciBinary, runtime_id: str) -> list[str]:
    """Reads the OCI resources from its standard input."""
    return oci.argv("update", "--resources=/dev/stdin", runtime_id)


def delete(oci: OciBinary, runtime_id: str) -> list[str]:
    """With force: kills what lives, and says nothing of what is not there."""
    return oci.argv("delete", "--force", runtime_id)


def version(path: Path) -> list[str]:
    return [str(path), "--version"]


def features(path: Path) -> list[str]:
    """Runtimes of spec 1.1 and newer tell what they can do (features.md)."""
    return [str(path), "features"]
