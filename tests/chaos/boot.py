"""Another boot of the node, as its agent finds it: no process, mount or run folder is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import psutil
from tests.support import machine

END_S = 30.0


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
    """The monitors first, which would write of the others' ends. A runtime may have begun one more
    as we looked: again, until there is none."""
    while ours := [each for each in machine.processes() if _names(each, run_dir)]:
        ours.sort(key=lambda each: "conmon" not in _words(each)[0])
        watched = [child for each in ours for child in _children(each)]
        for each in [*ours, *watched]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        _, alive = psutil.wait_procs([*ours, *watched], timeout=END_S)
        assert all(map(machine.has_ended, alive)), alive


def _names(process: psutil.Process, run_dir: Path) -> bool:
    """A monitor, or a runtime at work for one."""
    return process.pid != os.getpid() and str(run_dir) in " ".join(_words(process))


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline() or [""]
    return [""]


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []
