"""What deploy/ ships is taken by the programs that it is for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from wharfside_agent.settings import default_node_name
from wharfside_agent.settings_file import load_settings

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def test_the_example_configuration_loads() -> None:
    assert load_settings(DEPLOY / "config.example.toml").node.name == "node-1"


def test_the_agents_of_compose_are_named_as_their_containers() -> None:
    assert load_settings(DEPLOY / "compose" / "agent.toml").node.name == default_node_name()


def test_the_example_tells_the_true_defaults(tmp_path: Path) -> None:
    bare = tmp_path / "bare.toml"
    bare.write_text('[node]\nname = "node-1"\nlabels = { zone = "a" }\n')
    assert load_settings(DEPLOY / "config.example.toml") == load_settings(bare)


def test_nats_server_takes_the_development_configuration() -> None:
    server = shutil.which("nats-server") or str(Path(sys.executable).parent / "nats-server")
    done = subprocess.run(
        [server, "-t", "-c", str(DEPLOY / "nats.conf")], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
