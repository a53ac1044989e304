"""Wheels to install without a network: this checkout, its next version, all that they need."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".test-env" / "wheels"
BUILD_S = 300.0


def wheelhouse() -> Path:
    """A folder with what `wharfside[fast,tls]` depends on; built once for each pyproject.toml."""
    wanted = hashlib.sha256((CHECKOUT / "pyproject.toml").read_bytes()).hexdigest()[:12]
    folder = CACHE / wanted
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            work = Path(tempfile.mkdtemp(dir=CACHE))
            _pip_wheel(work, f"{CHECKOUT}[fast,tls]")
            for ours in work.glob("wharfside-*"):
                ours.unlink()
            work.rename(folder)
    return folder


def own_wheel(folder: Path) -> Path:
    """This checkout as a wheel, in `folder`."""
    _pip_wheel(folder, str(CHECKOUT), "--no-deps")
    [wheel] = folder.glob("wharfside-*.whl")
    return wheel


def as_version(wheel: Path, version: str, *, breaks: str | None = None) -> Path:
    """The same wheel with another version's name; `breaks`: a module that cannot be imported."""
    _name, old, rest = wheel.name.split("-", 2)
    other = wheel.with_name(f"wharfside-{version}-{rest}")
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(other, "w") as target:
        for each in source.infolist():
            data = source.read(each)
            if each.filename.endswith(("METADATA", "wharfside_protocol/__init__.py")):
                data = data.replace(old.encode(), version.encode())
            if breaks is not None and each.filename == breaks:
                data = b"raise SystemExit('this version is broken')\n"
            target.writestr(each.filename.replace(f"-{old}.", f"-{version}."), data)
    return other


def _pip_wheel(folder: Path, *what: str) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--wheel-dir", str(folder), *what]
    shutil.rmtree(CHECKOUT / "build", ignore_errors=True)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_S
    )
    assert done.returncode == 0, done.stderr
