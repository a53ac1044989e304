"""A Prometheus of the test's own, with the configuration of deploy/prometheus, in a hurry."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.observability.queries import ALERTS, PROMETHEUS
from tests.support.eventually import wait_until
from tests.support.ports import free_port
from tests.support.requirements import find_command

STOP_S = 20.0


@dataclass(frozen=True)
class Prometheus:
    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The vector that it is now; AssertionError where it is no expression."""
        found = self._get("query", query=expression)
        assert found["resultType"] == "vector", expression
        return list(found["result"])

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _get(self, what: str, **arguments: str) -> dict[str, Any]:
        asked = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(asked, timeout=30) as answer:
            told = json.load(answer)
        assert told["status"] == "success", (arguments, told)
        return dict(told["data"])


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Scrapes `target` (host:port) twice a second, under the shipped configuration and rules."""
    config = (PROMETHEUS / "prometheus.yml").read_text()
    hurried = config.replace("127.0.0.1:9464", target).replace(": 15s", ": 500ms")
    (folder / "prometheus.yml").write_text(hurried)
    (folder / "alerts.yml").write_text(ALERTS.read_text())
    address = f"127.0.0.1:{free_port()}"  # it does not tell which one it took
    command = [
        str(find_command("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        server = Prometheus(f"http://{address}")
        wait_until(server.ready, f"ready: {(folder / 'log').read_text()}", within_s=90)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)
