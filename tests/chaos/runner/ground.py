"""What a run stands on: a real server, a root file system, and the observer beside them."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.runner.truth import Truth, read_truth
from tests.support.nats_cluster import NatsCluster
from tests.support.nats_server import NatsServer
from tests.support.rootfs import build_rootfs

from wharfside_client import connect

READY_S = 30.0
DISK_MB = 64


class ObserverFailed(Exception):
    """Without the kernel's word a run proves nothing."""


@dataclass(frozen=True)
class Ground:
    """Runs may share one, one after the other: each has a node and a folder of its own."""

    folder: Path
    bus: NatsServer | NatsCluster
    rootfs: Path

    @property
    def servers(self) -> list[NatsServer]:
        return list(self.bus) if isinstance(self.bus, NatsCluster) else [self.bus]


@contextmanager
def make_ground(folder: Path, servers: int = 1) -> Iterator[Ground]:
    """One server, or a cluster of so many."""
    rootfs = build_rootfs(folder / "roots" / "busybox")
    config = "max_payload: 8MB"
    bus = (
        NatsServer(folder / "nats", config=config)
        if servers == 1
        else NatsCluster(folder / "nats", size=servers, config=config)
    )
    with bus:
        yield Ground(folder, bus, rootfs)


async def bootstrap(ground: Ground, node: str) -> None:
    """The streams, with a replica on each server, and the node's mailbox."""
    async with connect(ground.bus.url) as fleet:
        await fleet.setup.bootstrap(replicas=len(ground.servers))
        await fleet.setup.add_node(node)


class Watch:
    """The observer's process. `token` begins every mark of this run, and of no other."""

    def __init__(self, file: Path) -> None:
        self.token = f"w{secrets.token_hex(3)}"
        self._file = file
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.runner.observer", str(file), self.token],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[3],
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self.close()
            raise ObserverFailed("the observer did not start")

    def close(self) -> Truth:
        """All that it saw; the run must be over."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(READY_S)
        self._process.stdout.close()
        with self._file.open() as lines:
            return read_truth(lines)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs of DISK_MB at `folder`, which can be filled without hurting anyone else."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={DISK_MB}m"
    command = ["mount", "-t", "tmpfs", "-o", options, "wharfside-chaos", str(folder)]
    subprocess.run(command, check=True, timeout=60)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, timeout=60)
