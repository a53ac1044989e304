"""Another boot of the node, as its agent finds it: no process, mount or run folder is left."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
from pathlib import Path

import psutil
from tests.support import machine


def boot_anew(state_dir: Path, run_dir: Path) -> None:
    """The agent is dead already. The store says that its last life was in another boot."""
    sweep_away(run_dir)
    with contextlib.closing(sqlite3.connect(state_dir / "store.sqlite")) as store:
        store.execute("UPDATE meta SET value = 'the boot before' WHERE key = 'boot_id'")
        store.commit()


def sweep_away(run_dir: Path) -> None:
    """All that runs there and all that is known of it."""
    _end_all(run_dir)
    for line in machine.mounts():
        point = machine.mount_point(line)
        if point.startswith(str(run_dir)):
            subprocess.run(["umount", "--lazy", point], check=True)
    shutil.rmtree(run_dir)


def _end_all(run_dir: Path) -> None:
    """The monitors first, which would write of the others' ends."""
    monitors = [each for each in psutil.process_iter() if _is_monitor(each, run_dir)]
    watched = [child for each in monitors for child in each.children(recursive=True)]
    for each in [*monitors, *watched]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs([*monitors, *watched], timeout=10)


def _is_monitor(process: psutil.Process, run_dir: Path) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.name() == "conmon" and str(run_dir) in " ".join(process.cmdline())
    return False
