"""A real agent in a process of its own, as a node runs it; killed, stopped and started at will."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 40.0

CONFIG = """\
[node]
name = "{name}"
labels = {{ zone = "test" }}

[nats]
servers = {servers}
{nats}
[paths]
state_dir = "{folder}/state"
run_dir = "{folder}/run"

[runtime]
default = "{runtime}"
bundle_roots = ["{roots}"]
mount_roots = ["{roots}", "/usr"]
cgroup_parent = "{cgroup}"

[log]
format = "json"
"""


class AgentFailed(AssertionError):
    """The agent did not do what the test asked of its process; its log is told."""


@dataclass
class AgentProcess:
    """`server`: one URL, or several with commas. `folder` holds state, run dir, config and log;
    `roots` is where bundles may lie.

    `nats`: further lines of the settings' group of that name, such as its key's file.
    `within`: a command before it that replaces itself by it, such as nsenter(1).
    """

    name: str
    server: str
    folder: Path
    roots: Path
    cgroup: str
    runtime: str = "crun"
    environment: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    program: tuple[str, ...] = ("-m", "wharfside_agent")
    within: tuple[str, ...] = ()
    nats: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def log(self) -> Path:
        return self.folder / "agent.log"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def write_config(self, extra: str = "", *, runtime_extra: str = "") -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = CONFIG.format(
            name=self.name,
            servers=json.dumps(self.server.split(",")),
            nats=self.nats,
            folder=self.folder,
            roots=self.roots,
            runtime=self.runtime,
            cgroup=self.cgroup,
        )
        self.config.write_text(text.replace("[runtime]\n", f"[runtime]\n{runtime_extra}") + extra)

    def start(self, *, until: str | None = "ready", **environment: str) -> None:
        """Starts it and waits for the log line of the event `until`, bounded."""
        if not self.config.exists():
            self.write_config()
        read, write = os.pipe()
        command = [*self.within, sys.executable, *self.program, "run", "--config", str(self.config)]
        self.process = subprocess.Popen(
            [*command, *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write,
            env=os.environ | self.environment | environment,
            start_new_session=True,
        )
        os.close(write)
        self._reader = os.fdopen(read, "rb", buffering=0)
        self._rest = b""
        self._sink = self.log.open("ab")
        if until is not None:
            self.wait_for_log(until)

    def wait_for_log(self, event: str, seconds: float = START_SECONDS) -> dict[str, object]:
        """The next log line of `event`; AgentFailed when it does not come in time."""
        end = time.monotonic() + seconds
        while True:
            line, newline, rest = self._rest.partition(b"\n")
            if newline:
                self._rest = rest
                self._sink.write(line + b"\n")
                self._sink.flush()
                if b'"' + event.encode() + b'"' in line and line.startswith(b"{"):
                    return dict(json.loads(line))
                continue
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._reader], [], [], left)[0]:
                raise AgentFailed(f"no {event!r} within {seconds} s:\n{self.log_text()}")
            more = self._reader.read(65536)
            if not more:
                raise AgentFailed(f"the agent ended before {event!r}:\n{self.log_text()}")
            self._rest += more

    def log_text(self) -> str:
        """What it has logged, as far as it was read."""
        self.drain()
        return self.log.read_text(errors="replace")[-8000:]

    def drain(self) -> None:
        """Reads what the pipe holds now, so that the agent never waits for us."""
        while select.select([self._reader], [], [], 0)[0]:
            more = self._reader.read(65536)
            if not more:
                break
            self._rest += more
        self._sink.write(self._rest)
        self._rest = b""
        self._sink.flush()

    def kill(self) -> None:
        """kill -9; its containers run on."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        return self._end(signal.SIGTERM)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit status, once it has ended by itself."""
        assert self.process is not None
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise AgentFailed(f"it did not end within {seconds} s:\n{self.log_text()}")
            select.select([self._reader], [], [], 0.05)
            self.drain()
        self.drain()
        return self.process.returncode

    def _end(self, number: int) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.wait()
        self._reader.close()
        self._sink.close()
        return code


@contextmanager
def agent_process(
    name: str, server: str, folder: Path, roots: Path, *, cgroup: str, runtime: str = "crun"
) -> Iterator[AgentProcess]:
    """An agent that is not started yet; ended with the context, if it still runs."""
    agent = AgentProcess(name, server, folder, roots, cgroup, runtime)
    agent.write_config()
    try:
        yield agent
    finally:
        if agent.process is not None and agent.process.poll() is None:
            agent.kill()
