"""docker-compose.yml: as docker-compose reads it, and (soak) as a fleet that runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.deploy.engine import Engine
from tests.deploy.units import DEPLOY
from tests.support.eventually import wait_until
from tests.support.leaks import LeakGate
from tests.support.requirements import find_command, need, requires

pytestmark = requires("docker-compose")

SERVERS = ("nats-1", "nats-2", "nats-3")
AGENTS = ("agent-1", "agent-2")
WATCHERS = ("prometheus", "grafana")
ROOTFS = "/usr/share/wharfside/busybox"
PATIENCE_S = 120.0


def config(*arguments: str) -> str:
    """What docker-compose makes of the file; it starts nothing."""
    command = [str(find_command("docker-compose")), "--profile", "cli"]
    done = subprocess.run(
        [*command, "--file", str(DEPLOY.parent / "docker-compose.yml"), "config", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_docker_compose_takes_the_file() -> None:
    wanted = {*SERVERS, *AGENTS, *WATCHERS, "keys", "bootstrap", "cli"}
    assert set(config("--services").split()) == wanted


def test_each_part_has_no_keys_but_its_own() -> None:
    """Who has the volume `keys` can be anybody."""
    [text] = re.findall(r"^services:\n((?:  .*\n)+)", config(), re.MULTILINE)
    parts = re.split(r"^  ([\w-]+):$", text, flags=re.MULTILINE)[1:]
    services = dict(zip(parts[::2], parts[1::2], strict=True))
    has = {
        volume: {name for name, text in services.items() if _mounts(text, volume)}
        for volume in ("keys", "node-1", "node-2", "operator", "conf-1")
    }
    assert has == {
        "keys": {"keys", "bootstrap"},
        "node-1": {"keys", "agent-1"},
        "node-2": {"keys", "agent-2"},
        "operator": {"keys", "cli"},
        "conf-1": {"keys", "nats-1"},
    }


def _mounts(text: str, volume: str) -> bool:
    return re.search(rf"(- |source: ){volume}(:|$)", text, re.MULTILINE) is not None


@pytest.mark.soak
def test_the_fleet_runs_containers_and_outlives_its_parts(
    leak_gate: LeakGate, tmp_path: Path
) -> None:
    """Images are built, and everything but Grafana (no package has it) is started."""
    need("root")
    with Engine(tmp_path) as engine:
        for image in ("cli", "agent"):
            engine.build(image)
            print(f"wharfside:{image}: {engine.image_mb(f'wharfside:{image}')} MB")
        engine.compose("up", "--detach", "keys", *SERVERS, "bootstrap", *AGENTS, "prometheus")
        wait_until(lambda: _nodes_up(engine) == 2, "two nodes are up", within_s=PATIENCE_S)
        hello = engine.cli("run", "--rootfs", ROOTFS, "--rm", "node-1/hello", "echo", "hi")
        assert hello == "hi\n"
        engine.cli("run", "-d", "--rootfs", ROOTFS, "node-2/stays", "sleep", "10000")
        before = _pid_of(engine, "stays")

        engine.kill_child("agent-2")
        engine.docker("kill", engine.container("nats-1"))
        wait_until(lambda: _pid_of(engine, "stays") == before, "it is served", within_s=PATIENCE_S)
        wait_until(lambda: _targets_up(engine) == 2, "both are scraped", within_s=PATIENCE_S)


def _nodes_up(engine: Engine) -> int:
    return len(re.findall(r"^node-\d +up ", engine.cli("nodes", check=False), re.MULTILINE))


def _pid_of(engine: Engine, name: str) -> str:
    found = re.search(rf"{name} +running .*? (\d+) +sleep", engine.cli("ps", check=False))
    return found[1] if found else ""


def _targets_up(engine: Engine) -> int:
    return engine.in_network("http://prometheus:9090/api/v1/query?query=up").count(',"1"]')
