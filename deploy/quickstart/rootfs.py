"""A root file system made of one static busybox; and whether overlays can lie beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from deploy.quickstart.failures import QuickstartFailed

FOLDERS = ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var")
COMMAND_S = 10.0


def build(rootfs: Path) -> None:
    """Makes `rootfs`, about 2 MB.

    Raises:
        QuickstartFailed: there is no busybox.
    """
    busybox = shutil.which("busybox", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/bin")
    if busybox is None:
        raise QuickstartFailed("no busybox: apt-get install busybox-static")
    for name in FOLDERS:
        (rootfs / name).mkdir(parents=True)
    (rootfs / "tmp").chmod(0o1777)
    (rootfs / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    shutil.copy2(busybox, rootfs / "bin" / "busybox")
    listed = subprocess.check_output([busybox, "--list"], text=True, timeout=COMMAND_S)
    for applet in set(listed.split()) - {"busybox"}:
        (rootfs / "bin" / applet).symlink_to("busybox")


def carries_overlays(folder: Path) -> bool:
    """Whether a writable layer can lie here: not on 9p, NFS, or another overlay.

    Tried in a mount namespace that ends with the trial.
    """
    trial = folder / "overlay-trial"
    for name in ("lower", "upper", "work", "merged"):
        (trial / name).mkdir(parents=True)
    layers = "lowerdir=lower,upperdir=upper,workdir=work"
    mount = ["unshare", "--mount", "mount", "-t", "overlay", "overlay", "-o", layers, "merged"]
    try:
        done = subprocess.run(mount, check=False, cwd=trial, capture_output=True, timeout=COMMAND_S)
    finally:
        shutil.rmtree(trial)
    return done.returncode == 0
