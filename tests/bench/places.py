"""Where the bench keeps its things, and the bundles that every contender runs."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FLOOR = HERE / "floor"

HARDENED = "hardened"
"""The floor's bundle with what an agent adds: seccomp, masked paths, closed devices."""

TRUE = ("/bin/busybox", "true")
NAP = ("/bin/busybox", "sleep", "0.15")
"""Long enough that what follows a start is over when the exit comes."""

IDLE = ("/bin/busybox", "sleep", "100000")

BLOCK_BYTES = 64 * 1024
LINE = "a line of a log, as long as many of them are: 0123456789 abcdef"


def prints(count: int) -> tuple[str, ...]:
    """Prints `count` bytes (whole blocks) with the least effort of its own."""
    blocks = f"count={count // BLOCK_BYTES}"
    return ("/bin/busybox", "dd", "if=/dev/zero", "bs=64k", blocks, "status=none")


def prints_lines(count: int) -> tuple[str, ...]:
    """Prints `count` bytes of lines, as fast as it can."""
    script = f"busybox yes '{LINE}' | busybox head -c {count}"
    return ("/bin/busybox", "sh", "-c", script)


class BenchRunning(Exception):
    """The place is taken; set WHARFSIDE_BENCH_DIR and WHARFSIDE_BENCH_RUN for another."""


@dataclass(frozen=True)
class Places:
    """`kept` holds images and bundles, `run` what lives as long as a bench run."""

    kept: Path
    run: Path

    @property
    def rootfs(self) -> Path:
        return self.kept / "rootfs"

    @property
    def bundles(self) -> Path:
        return self.kept / "bundles"

    @property
    def floor(self) -> Path:
        return self.run / "floor"

    def bundle(self, name: str, args: tuple[str, ...] = TRUE) -> Path:
        """An OCI bundle from floor/config.json: the one config of floor and ours alike."""
        config = json.loads((FLOOR / "config.json").read_text())
        config["root"]["path"] = str(self.rootfs)
        config["process"]["args"] = list(args)
        path = self.bundles / name
        path.mkdir(parents=True, exist_ok=True)
        (path / "config.json").write_text(json.dumps(config))
        return path

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Alone here: two at once would sweep each other's folders and spoil the figures.

        Raises:
            BenchRunning: another bench run, or setup-peers, holds the place.
        """
        self.kept.mkdir(parents=True, exist_ok=True)
        with (self.kept / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BenchRunning(f"a bench runs in {self.kept} already") from None
            with _in_memory(self.run):
                yield

    def lay_out(self) -> None:
        """The static root file system and the folders that floor/run-one expects."""
        binary = self.rootfs / "bin" / "busybox"
        for name in ("bin", "proc", "dev", "sys", "tmp"):
            (self.rootfs / name).mkdir(parents=True, exist_ok=True)
        if not binary.exists():
            shutil.copy2(_static_busybox(), binary)
        for name in ("containers", "exits", "crun", "bundle/persist", f"{HARDENED}/persist"):
            (self.floor / name).mkdir(parents=True, exist_ok=True)
        shutil.copy2(self.bundle("true") / "config.json", self.floor / "bundle")

    def lay_out_hardened(self, config: dict[str, Any]) -> None:
        """The floor's other bundle: `config` is what the agent made of the first one."""
        config = config | {"process": config["process"] | {"args": list(TRUE)}}
        config["linux"] = {k: v for k, v in config["linux"].items() if k != "cgroupsPath"}
        (self.floor / HARDENED / "config.json").write_text(json.dumps(config))


@contextmanager
def _in_memory(folder: Path) -> Iterator[None]:
    """/run is a tmpfs on every host, and made one here where it is not (as setup-peers does).

    An ext4 without a journal looks at each inode that was removed within the last minutes before
    it makes a new one (`recently_deleted`): each round would be slower than the one before it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if _file_system(folder) == "tmpfs":
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _file_system(folder: Path) -> str:
    """Its type by stat(1)."""
    argv = ["stat", "--file-system", "--format=%T", folder]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def from_environment() -> Places:
    """WHARFSIDE_BENCH_DIR and WHARFSIDE_BENCH_RUN, as in setup-peers."""
    return Places(
        kept=Path(os.environ.get("WHARFSIDE_BENCH_DIR", "/var/tmp/wharfside-bench")),
        run=Path(os.environ.get("WHARFSIDE_BENCH_RUN", "/run/wharfside-bench")),
    )


def _static_busybox() -> str:
    """Debian's busybox-static.

    Raises:
        FileNotFoundError: there is none, or it needs a loader that no rootfs here has.
    """
    found = shutil.which("busybox")
    if found is None:
        raise FileNotFoundError("no busybox: install busybox-static")
    loader = subprocess.run(["ldd", found], capture_output=True, text=True, check=False)
    if loader.returncode == 0:
        raise FileNotFoundError(f"{found} is not static: install busybox-static")
    return found
