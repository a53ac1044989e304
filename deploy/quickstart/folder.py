"""Where the quickstart keeps its data: one folder, of its own, known by one cgroup."""

from __future__ import annotations

import fcntl
import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path

from deploy.quickstart.failures import QuickstartFailed


@dataclass(frozen=True, slots=True)
class Folder:
    """Everything below `top`. The virtual environment may lie there too; it is left alone."""

    top: Path

    @property
    def state(self) -> Path:
        return self.top / "state"

    @property
    def run(self) -> Path:
        return self.top / "run"

    @property
    def jetstream(self) -> Path:
        return self.top / "jetstream"

    @property
    def logs(self) -> Path:
        return self.top / "logs"

    @property
    def bundles(self) -> Path:
        return self.top / "rootfs"

    @property
    def rootfs(self) -> Path:
        return self.bundles / "busybox"

    @property
    def agent_config(self) -> Path:
        return self.top / "agent.toml"

    @property
    def server_config(self) -> Path:
        return self.top / "nats.conf"

    @property
    def env(self) -> Path:
        return self.top / "env"

    @property
    def cgroup(self) -> str:
        """The same for every run in this folder: the next one finds what a killed one left."""
        return f"/wharfside-quickstart-{zlib.crc32(os.fsencode(self.top)):08x}"

    def lock(self) -> int:
        """Held by the descriptor until this process ends.

        Raises:
            QuickstartFailed: another quickstart works here.
        """
        self.top.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise QuickstartFailed(
                f"another quickstart works in {self.top}: end it first"
            ) from None
        return fd

    def clear(self) -> None:
        """Removes what belongs to one run; logs and configuration stay to be looked at."""
        for path in (self.state, self.run, self.jetstream, self.bundles):
            shutil.rmtree(path, ignore_errors=True)
        self.env.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Empty folders for one run; what the node keeps for itself is root's alone."""
        self.clear()
        shutil.rmtree(self.logs, ignore_errors=True)
        for path in (self.state, self.run, self.jetstream):
            path.mkdir(0o700, parents=True)
        for path in (self.logs, self.bundles):
            path.mkdir()

    def hand_over(self) -> None:
        """Under sudo, what stays belongs to the user who called it."""
        owner = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
        if owner[0] is None or owner[1] is None:
            return
        uid, gid = int(owner[0]), int(owner[1])
        kept = [self.agent_config, self.server_config, self.env, self.logs, *self.logs.glob("*")]
        for path in (self.top, *kept):
            if path.exists():
                os.chown(path, uid, gid)
