"""What deploy/ ships is taken by the programs that it is for."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wharfside_agent.settings import load_settings

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


@pytest.mark.parametrize("name", ["config.example.toml", "config.compose.toml"])
def test_the_example_configurations_load(name: str) -> None:
    assert load_settings(DEPLOY / name).node.name == "node-1"


def test_the_example_tells_the_true_defaults(tmp_path: Path) -> None:
    bare = tmp_path / "bare.toml"
    bare.write_text('[node]\nname = "node-1"\nlabels = { zone = "a" }\n')
    assert load_settings(DEPLOY / "config.example.toml") == load_settings(bare)


@pytest.mark.parametrize("name", ["nats.conf", "nats.compose.conf"])
def test_nats_server_takes_its_configurations(name: str) -> None:
    server = shutil.which("nats-server") or str(Path(sys.executable).parent / "nats-server")
    done = subprocess.run(
        [server, "-t", "-c", str(DEPLOY / name)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr


def test_the_init_starts_its_command_again_and_stops_when_asked(tmp_path: Path) -> None:
    """Each life of the command says so on stdout; the second one is killed by our TERM."""
    script = 'echo "alive $$"; exec sleep 60'
    process = subprocess.Popen(
        [DEPLOY / "init", "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    first = int(process.stdout.readline().split()[1])
    subprocess.run(["kill", "-KILL", str(first)], check=True)
    second = int(process.stdout.readline().split()[1])
    assert second != first
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(timeout=20) in (143, 0)
