"""nats-servers on the very files that `wharfside auth` has written."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.eventually import wait_until
from tests.support.requirements import find_command

STOP_S = 30.0


@dataclass
class Running:
    """`process` runs on `conf`, and is reachable at `port`."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    def reload(self) -> None:
        """As `nats-server --signal reload`."""
        told = "Reloaded server configuration"
        before = self.log.read_text().count(told)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log.read_text().count(told) > before, "it has reloaded")


@contextmanager
def running(conf: Path, port: int) -> Iterator[Running]:
    binary = find_command("nats-server")
    assert binary is not None
    log = conf.with_suffix(".log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [binary, "-c", conf], stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    server = Running(process, log, port)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port), "it listens")
        assert process.poll() is None, log.read_text()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
