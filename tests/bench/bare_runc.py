"""A container by runc alone, its checkpoints with it: what ours stands on."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed
from tests.bench.contenders import ContenderFailed
from tests.bench.places import Places

SECONDS = 120


@dataclass
class BareRunc:
    """One container that runs `bundle`; `cycle` dumps it, which ends it, and restores it."""

    folder: Path
    bundle: Path
    id: str = "bare"

    def cycle(self) -> tuple[float, float]:
        """Seconds of `runc checkpoint`, and of `runc restore`."""
        images = self.folder / "images"
        shutil.rmtree(images, ignore_errors=True)
        images.mkdir(parents=True)
        where = (f"--image-path={images}", f"--work-path={self.folder}")
        before = perf_counter()
        self._runc("checkpoint", *where, self.id)
        dumped = perf_counter()
        self._runc("restore", "--detach", f"--bundle={self.bundle}", *where, self.id)
        return dumped - before, perf_counter() - dumped

    def start(self) -> int:
        """The pid of init."""
        pid_file = self.folder / "pid"
        self._runc("run", "--detach", f"--bundle={self.bundle}", f"--pid-file={pid_file}", self.id)
        return int(pid_file.read_text())

    def delete(self) -> None:
        with_force = self._argv("delete", "--force", self.id)
        subprocess.run(with_force, capture_output=True, timeout=SECONDS, check=False)

    def _argv(self, *words: str) -> list[str]:
        return ["runc", f"--root={self.folder / 'root'}", *words]

    def _runc(self, *words: str) -> None:
        """Its streams are /dev/null: a pipe would be one more thing to restore."""
        log = self.folder / "runc.log"
        null = subprocess.DEVNULL
        argv = self._argv(f"--log={log}", *words)
        process = subprocess.Popen(argv, stdin=null, stdout=null, stderr=null)
        if _code(process) != 0:
            raise ContenderFailed(f"runc {words[0]}", log.read_text()[-300:])


def _code(process: subprocess.Popen[bytes]) -> int:
    """Killed after SECONDS. Popen's own wait with a timeout looks every 50 ms at the end."""
    pidfd = os.pidfd_open(process.pid)
    try:
        if not select.select([pidfd], [], [], SECONDS)[0]:
            process.kill()
    finally:
        os.close(pidfd)
    return process.wait()


@contextmanager
def bare_runc(places: Places, bundle: Path) -> Iterator[BareRunc]:
    folder = places.run / "runc"
    folder.mkdir(parents=True, exist_ok=True)
    one = BareRunc(folder, bundle)
    try:
        yield one
    finally:
        one.delete()
        shutil.rmtree(folder, ignore_errors=True)


@retry(
    retry=retry_if_result(lambda there: not there), stop=stop_after_delay(60), wait=wait_fixed(0.05)
)
def holds(pid: int, count: int) -> bool:
    """Waits until the process has `count` bytes of its own in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 >= count
