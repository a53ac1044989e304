"""A real nats-server with JetStream for a test: its own port, its own store, no shared state.

    with NatsServer(tmp_path / "nats", config="max_payload: 8MB") as server:
        nc = await nats.connect(server.url)

Every call blocks for the 20-100 ms that the server takes, with a bound; inside a running event loop
that must stay live meanwhile, use `asyncio.to_thread`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from asyncinotify import Inotify, Mask
from tests.support.eventually import wait_until
from tests.support.ports import free_port
from tests.support.requirements import find_command

READY_S = 60.0
STOP_S = 30.0

_RELOADED = "Reloaded server configuration"


class NatsServerFailed(Exception):
    """nats-server ended or stayed silent instead of becoming ready; carries its log."""

    def __init__(self, returncode: int | None, log: str) -> None:
        super().__init__(f"nats-server not ready (exit status {returncode}):\n{log}")
        self.returncode = returncode
        self.log = log


class NatsServer:
    """One server process after another on the same port and the same JetStream store."""

    def __init__(
        self,
        directory: Path,
        *,
        config: str = "",
        jetstream: bool = True,
        address: str = "127.0.0.1",
    ) -> None:
        """`config` is nats-server configuration text, put after the lines for port and store.
        `address`: where it listens."""
        self.directory = directory
        self.log_path = directory / "nats.log"
        self._config = config
        self._jetstream = jetstream
        self._address = address
        self._port = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port; it is chosen at the first start, and stays: nobody takes it in between."""
        if self._port < 0:
            raise RuntimeError("nats-server was never started")
        return self._port

    @property
    def url(self) -> str:
        return f"nats://{self._address}:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        """Return when the server accepts clients; raises NatsServerFailed after 60 s."""
        if self._process is not None:
            raise RuntimeError("nats-server runs already")
        if self._port < 0:
            self._port = free_port()
        ports = self.directory / "ports"
        ports.mkdir(parents=True, exist_ok=True)
        # The watch is armed before the server is started: its one event cannot be missed.
        with Inotify(sync_timeout=READY_S) as inotify:
            inotify.add_watch(ports, Mask.CLOSE_WRITE | Mask.MOVED_TO)
            self._spawn(ports)
            try:
                self._port = self._await_port(inotify, ports)
            except BaseException:
                self.kill()
                raise

    def stop(self) -> None:
        """Let it write out its store and end (SIGTERM); killed if it takes more than 30 s."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
        self._process = None

    def kill(self) -> None:
        """SIGKILL: what was not synced to the store's files may be lost, as in a crash."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(STOP_S)
        self._process = None

    def restart(self, *, config: str | None = None) -> None:
        """Stop if it runs, and start on the same port and store; `config` replaces the text."""
        self.stop()
        if config is not None:
            self._config = config
        self.start()

    def reload(self, config: str) -> None:
        """Replace the text of the configuration under the running server (SIGHUP)."""
        self._config = config
        before = self.log.count(_RELOADED)
        (self.directory / "nats.conf").write_text(self._render(self.directory / "ports"))
        self._running().send_signal(signal.SIGHUP)
        wait_until(lambda: self.log.count(_RELOADED) > before, "nats-server reloaded")

    def pause(self) -> None:
        """Stop the process without closing its sockets, as a partition looks from outside."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: _is_stopped(process.pid), "nats-server stopped by SIGSTOP")

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def __enter__(self) -> NatsServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("nats-server is not running")
        return self._process

    def _spawn(self, ports: Path) -> None:
        binary = find_command("nats-server")
        if binary is None:
            raise FileNotFoundError("nats-server")
        config = self.directory / "nats.conf"
        config.write_text(self._render(ports))
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [binary, "-c", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _render(self, ports: Path) -> str:
        lines = [
            f"listen: {self._address}:{self._port}",
            f"ports_file_dir: {json.dumps(str(ports))}",
        ]
        if self._jetstream:
            store = json.dumps(str(self.directory / "jetstream"))
            lines.append(f"jetstream {{ store_dir: {store}, max_mem: 256MB, max_file: 8GB }}")
        return "\n".join([*lines, self._config, ""])

    def _await_port(self, inotify: Inotify, ports: Path) -> int:
        """The file of ports is written once clients are accepted (nats-server, logPorts)."""
        process = self._running()
        ports_file = ports / f"nats-server_{process.pid}.ports"
        pidfd = os.pidfd_open(process.pid)
        try:
            # The server's death ends the wait at once, as its file does.
            ended = _first_readable(inotify.fd, pidfd, timeout_s=READY_S) != inotify.fd
        finally:
            os.close(pidfd)
        if ended or not ports_file.exists():
            raise NatsServerFailed(process.poll(), self.log)
        return urlsplit(json.loads(ports_file.read_text())["nats"][0]).port or -1


def _first_readable(*fds: int, timeout_s: float) -> int | None:
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    ready = poller.poll(timeout_s * 1000)
    return ready[0][0] if ready else None


def _is_stopped(pid: int) -> bool:
    # proc_pid_stat(5): the state follows the command's name, which may itself hold parentheses.
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"
