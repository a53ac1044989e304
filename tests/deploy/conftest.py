"""A systemd of the test's own, and a node that runs as its unit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.deploy.units import UnitNode
from tests.support.leaks import LeakGate
from tests.support.nats_server import NatsServer
from tests.support.requirements import need
from tests.support.rootfs import build_rootfs
from tests.support.systemd import Systemd

NEEDED = ("root", "systemd", "conmon", "crun", "runc", "busybox-static", "nats-server")

HOST = "bare"


@pytest.fixture
def systemd(leak_gate: LeakGate, tmp_path: Path) -> Iterator[Systemd]:
    """Not started yet: what it is to find in /etc and /opt may be put there before."""
    machine = new_machine(tmp_path, leak_gate)
    yield machine
    machine.stop()


@pytest.fixture
def unit_node(systemd: Systemd, nats_server: NatsServer) -> UnitNode:
    """This checkout's agent as its own unit, on a machine that has not booted yet."""
    return installed(UnitNode(systemd, nats_server.url))


@pytest.fixture
def bare_node(systemd: Systemd, nats_server: NatsServer) -> UnitNode:
    """A machine that has booted, and on which nothing is installed."""
    systemd.start()
    return UnitNode(systemd, nats_server.url, name=HOST)


@contextmanager
def booted_node(folder: Path, gate: LeakGate, server: str) -> Iterator[UnitNode]:
    node = installed(UnitNode(new_machine(folder, gate), server))
    with node.systemd:
        yield node


def new_machine(folder: Path, gate: LeakGate) -> Systemd:
    for name in NEEDED:
        need(name)
    machine = Systemd(folder / "machine", f"{gate.cgroup}/systemd")
    build_rootfs(machine.folder / "state" / "bundles" / "busybox")
    return machine


def installed(node: UnitNode) -> UnitNode:
    node.write_units()
    node.write_config()
    program = node.systemd.place("/opt/wharfside/current/bin/wharfside-agent")
    program.parent.mkdir(parents=True)
    program.symlink_to(Path(sys.executable).with_name("wharfside-agent"))
    return node
