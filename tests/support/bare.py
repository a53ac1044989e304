"""A container by hand: conmon and a runtime, without any of the product's code.

What the kernel, conmon and the runtime do by themselves, for tests that pin down the ground that
the agent stands on (conmon(8); the pipes are described in conmon's src/parent_pipe_fd.c).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path

from asyncinotify import Inotify, Mask
from tests.support.requirements import find_command


class ConmonRefused(Exception):
    """conmon could not create the container, or did not say so in time."""


@dataclass(frozen=True)
class BareContainer:
    """One container with its files in `directory`. Bounds are seconds; emulation needs many."""

    directory: Path
    bundle: Path
    name: str
    runtime: str = "crun"
    bound_s: float = 60.0

    @property
    def exits(self) -> Path:
        return self.directory / "exits"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def persist(self) -> Path:
        """Where conmon writes `exit`, and `oom` if there was one."""
        return self.directory / "persist"

    def create(self) -> int:
        """Have conmon create it; returns the pid of its init, which waits for `start`."""
        for place in (self.exits, self.persist):
            place.mkdir(parents=True)
        sync, sync_inside = os.pipe()
        go_inside, go = os.pipe()
        try:
            # conmon waits for one byte, so that its caller can put it into a cgroup first.
            os.write(go, b"\0")
            self._spawn_conmon(sync_inside, go_inside)
            return self._created_pid(sync)
        finally:
            for fd in (sync, sync_inside, go_inside, go):
                os.close(fd)

    def start(self) -> None:
        self._run(*self._runtime(), "start", self.name)

    def delete(self) -> None:
        self._run(*self._runtime(), "delete", "--force", self.name)

    def start_and_wait(self) -> int:
        """Start it and return the status that conmon wrote; raises TimeoutError."""
        with Inotify(sync_timeout=self.bound_s) as inotify:
            # The file appears under a temporary name first: only the rename means that it is whole.
            inotify.add_watch(self.exits, Mask.MOVED_TO)
            self.start()
            if inotify.sync_get() is None:
                raise TimeoutError(f"no exit file of {self.name} within {self.bound_s} s")
        return int((self.exits / self.name).read_text())

    def _spawn_conmon(self, sync: int, go: int) -> None:
        argv = [
            *(_command("conmon"), "--api-version", "1"),
            *("--cid", self.name, "--cuuid", self.name, "--name", self.name),
            *("--runtime", _command(self.runtime), f"--runtime-arg=--root={self._root}"),
            *("--bundle", str(self.bundle), "--log-path", f"k8s-file:{self.log}"),
            *("--container-pidfile", str(self.directory / "pid")),
            *("--conmon-pidfile", str(self.directory / "conmon.pid")),
            *("--exit-dir", str(self.exits), "--persist-dir", str(self.persist), "--full-attach"),
        ]
        pipes = {"_OCI_SYNCPIPE": str(sync), "_OCI_STARTPIPE": str(go)}
        # conmon forks and this parent of it ends at once: its status says nothing.
        subprocess.run(
            argv,
            cwd=self.directory,
            env={**os.environ, **pipes},
            pass_fds=(sync, go),
            stdin=subprocess.DEVNULL,
            timeout=self.bound_s,
            check=False,
        )

    def _created_pid(self, sync: int) -> int:
        readable, _, _ = select.select([sync], [], [], self.bound_s)
        line = os.read(sync, 65536) if readable else b'{"data": -1, "message": "no answer"}'
        answer = json.loads(line)
        if answer["data"] < 0:
            raise ConmonRefused(answer.get("message", ""))
        return int(answer["data"])

    @property
    def _root(self) -> Path:
        return self.directory / "runtime"

    def _runtime(self) -> tuple[str, str]:
        return _command(self.runtime), f"--root={self._root}"

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, check=True, timeout=self.bound_s, stdin=subprocess.DEVNULL)


def _command(name: str) -> str:
    found = find_command(name)
    if found is None:
        raise FileNotFoundError(name)
    return str(found)
