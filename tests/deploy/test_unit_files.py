"""The unit files as systemd reads them: no complaint, and a bound on how exposed the agent is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.deploy.units import AGENT, CONTAINERS, DEPLOY
from tests.support.requirements import requires

pytestmark = requires("systemd")

MOST_EXPOSED = 7.6
"""`systemd-analyze security`, of 10. Docker's and containerd's own units have 9.6."""

INHERITED = (
    *("NoNewPrivileges", "RestrictNamespaces", "RestrictSUIDSGID", "MemoryDenyWriteExecute"),
    *("SystemCallArchitectures", "DeviceAllow", "DevicePolicy", "ProtectClock", "IPAddressDeny"),
    *("OOMScoreAdjust", "ProtectHostname", "PrivateNetwork", "PrivateUsers"),
)
"""Every container would have these bounds, too: images with setuid programs, compilers to memory,
32-bit programs, devices and namespaces of their own would break."""

OWN_MOUNTS = (
    *("ProtectSystem", "ProtectHome", "ProtectKernelLogs", "ProtectKernelModules", "ProtectProc"),
    *("ProtectKernelTunables", "ProtectControlGroups", "PrivateTmp", "PrivateDevices"),
    *("PrivateMounts", "ReadOnlyPaths", "InaccessiblePaths", "TemporaryFileSystem", "BindPaths"),
)
"""Each makes a mount namespace (systemd.exec(5)): the overlays of one life are in no other's."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The files with a program that is there."""
    for unit in (AGENT, CONTAINERS):
        shutil.copy(DEPLOY / unit, tmp_path)
    agent = tmp_path / AGENT
    agent.write_text(re.sub(r"/opt/wharfside/\S+", "/bin/true", agent.read_text()))
    return tmp_path


def test_systemd_has_no_complaint(units: Path) -> None:
    done = analyze("verify", str(units / AGENT), str(units / CONTAINERS))
    complaints = [line for line in done.stderr.splitlines() if "wharfside" in line]
    assert (done.returncode, complaints) == (0, [])


def test_the_agent_is_no_more_exposed_than_containers_need(units: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", str(units / AGENT))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    print(f"systemd-analyze security: {found[1]}")
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("directive", [*INHERITED, *OWN_MOUNTS])
def test_nothing_that_would_break_containers_is_asked_for(directive: str) -> None:
    assert not re.search(rf"^{directive}=", (DEPLOY / AGENT).read_text(), re.MULTILINE)


def test_a_restart_leaves_containers_alone_and_is_tried_for_ever() -> None:
    lines = (DEPLOY / AGENT).read_text().splitlines()
    assert {
        *("KillMode=process", "Delegate=yes", "CPUWeight=200", "RuntimeDirectoryPreserve=yes"),
        *("Restart=always", "StartLimitIntervalSec=0"),
    } <= set(lines)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60
    )
