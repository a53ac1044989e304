"""A root file system for test containers: a static busybox, its applets, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.support.requirements import find_command

_DIRECTORIES = ("bin", "dev", "etc", "mnt", "proc", "root", "sys", "tmp", "usr/bin", "var")
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


def build_rootfs(directory: Path) -> Path:
    """Make `directory` a root file system of about 2 MB and return it.

    Raises FileNotFoundError without busybox; whether it is static is the requirement
    `busybox-static`.
    """
    busybox = find_command("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox")
    for name in _DIRECTORIES:
        (directory / name).mkdir(parents=True, exist_ok=True)
    (directory / "tmp").chmod(0o1777)
    shutil.copy2(busybox, directory / "bin/busybox")
    for applet in _applets(busybox):
        (directory / "bin" / applet).symlink_to("busybox")
    for name, text in _ACCOUNTS.items():
        (directory / name).write_text(text)
    return directory


@cache
def _applets(busybox: Path) -> tuple[str, ...]:
    listed = subprocess.run(
        [busybox, "--list"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    return tuple(name for name in listed.split() if name != "busybox")
