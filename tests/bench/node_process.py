"""The agent of one bench node, in a process of its own; and what it might leave behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.memory import processes
from tests.bench.places import Places

from wharfside_agent.core import placement as agent

STOP_SECONDS = 30
CGROUPS = Path("/sys/fs/cgroup")

CONFIG = """\
[node]
name = "{name}"
[nats]
servers = ["{server}"]
[paths]
state_dir = "{state}"
run_dir = "{run}"
[runtime]
bundle_roots = ["{roots}"]
favordynmods = true
cgroup_parent = "/wharfside-{name}"
[log]
level = "warning"
format = "json"
"""


class NodeProcess:
    """Started, killed and stopped at will; its folders and cgroups go with `remove`."""

    def __init__(self, name: str, server: str, places: Places) -> None:
        self.name = name
        self.state = places.kept / name
        self.run = places.run / name
        self.log = places.kept / "log" / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None
        for folder in (self.state, self.run, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self._config = self.state / "config.toml"
        self._config.write_text(
            CONFIG.format(
                name=name, server=server, state=self.state, run=self.run, roots=places.kept
            )
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def store(self) -> Path:
        return agent.Places(run_dir=self.run, state_dir=self.state).store

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "wharfside_agent", "run", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ended(self) -> int | None:
        """Its exit status, where it has ended by itself."""
        return None if self._process is None else self._process.poll()

    def end(self, number: int = signal.SIGTERM) -> None:
        """The signal, and KILL after a bound."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def monitors(self) -> list[int]:
        """The conmons of this node: its folder stands in their arguments."""
        return processes(
            lambda words: (
                words[0].endswith("conmon") and any(str(self.run) in word for word in words[1:])
            )
        )

    def config_of(self, container: str) -> dict[str, Any]:
        """The config.json that its runtime was given."""
        found = (json.loads(path.read_text()) for path in self.run.glob("runs/*/config.json"))
        return next(c for c in found if c["annotations"]["io.wharfside.container"] == container)

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def remove(self) -> None:
        """Ends the agent, and whatever a failed run has left: processes, cgroups, folders."""
        self.end()
        for pid in self.monitors():
            _kill(pid)
        for folder in _cgroups(f"wharfside-{self.name}"):
            _empty(folder)
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.rmtree(self.state, ignore_errors=True)


def _cgroups(name: str) -> list[Path]:
    """`name` in the v2 tree and in every v1 hierarchy."""
    found = [CGROUPS / name, *CGROUPS.glob(f"*/{name}")]
    return [folder for folder in found if folder.is_dir()]


def _empty(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        for pid in (Path(folder) / "cgroup.procs").read_text().split():
            _kill(int(pid))
        try:
            Path(folder).rmdir()
        except OSError:
            continue  # a process of it is still dying: an empty folder stays behind


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
