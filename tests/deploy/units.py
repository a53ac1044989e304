"""A node as a distribution runs it: the units of deploy/ under a systemd of the test's own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.eventually import wait_until
from tests.support.systemd import Systemd

from wharfside_client.specs import container
from wharfside_protocol.commands import CreateArgs

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
AGENT = "wharfside-agent.service"
CONTAINERS = "wharfside-containers.service"
ROOTFS = "/var/lib/wharfside/bundles/busybox"
RESTART_S = 240.0

# crun raises RLIMIT_MEMLOCK for cgroup v2's device rules, which not every test machine's root may.
CONFIG = """\
[node]
name = "{name}"
[nats]
servers = ["{server}"]
[runtime]
default = "runc"
"""


@dataclass(frozen=True)
class UnitNode:
    """`name` is the node's; its files lie where an installation has them."""

    systemd: Systemd
    server: str
    name: str = "n1"

    watchdog_s: float = 6.0
    """So long a busy machine may not run the agent."""

    def write_units(self, drop_in: str = "") -> None:
        units = self.systemd.place("/etc/systemd/system")
        units.mkdir(parents=True, exist_ok=True)
        for unit in (AGENT, CONTAINERS):
            shutil.copy(DEPLOY / unit, units)
        if drop_in:
            (units / f"{AGENT}.d").mkdir()
            (units / f"{AGENT}.d" / "test.conf").write_text(drop_in)

    def write_config(self) -> None:
        config = self.systemd.place("/etc/wharfside/config.toml")
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(CONFIG.format(name=self.name, server=self.server))

    def start(self) -> None:
        """Returns when the agent has said that it is ready."""
        self.systemd.run("systemctl", "start", AGENT)

    @property
    def pid(self) -> int:
        """The agent's main process, as it is counted in there; 0 between two lives."""
        return int(self.systemd.show(AGENT, "MainPID"))

    def await_another_life(self, than: int) -> None:
        wait_until(
            lambda: self.pid not in (0, than) and self._is_active(), "next life", within_s=RESTART_S
        )

    def birth(self, pid: int) -> str:
        """When process `pid` of in there began: a pid alone may be another's by now (proc(5))."""
        return self.systemd.run("cat", f"/proc/{pid}/stat").rpartition(")")[2].split()[19]

    def cgroup(self, pid: int) -> str:
        return self.systemd.run("cat", f"/proc/{pid}/cgroup").strip().rpartition(":")[2]

    @staticmethod
    def spec(name: str, script: str) -> CreateArgs:
        return container(name, ("sh", "-c", script), rootfs=ROOTFS)

    def _is_active(self) -> bool:
        return self.systemd.show(AGENT, "ActiveState") == "active"
