"""`wharfside-agent doctor`: what works, what not, what to do; nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.counting import broken_criu
from tests.support.nats_server import NatsServer

pytestmark = pytest.mark.requires("root", "crun", "conmon", "nats-server")


def doctor(folder: Path, server: str, *options: str) -> subprocess.CompletedProcess[str]:
    config = folder / "config.toml"
    paths = f'state_dir = "{folder}/state"\nrun_dir = "{folder}/run"\n'
    config.write_text(f'[node]\nname = "n1"\n[nats]\nservers = ["{server}"]\n[paths]\n{paths}')
    command = [sys.executable, "-m", "wharfside_agent", "doctor", "-c", str(config), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_on_a_machine_that_can(tmp_path: Path, shared_nats_server: NatsServer) -> None:
    done = doctor(tmp_path, shared_nats_server.url, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert {"privileges", "cgroups", "conmon", "crun", "nats"} <= set(found)
    assert all(found[name]["ok"] for name in ("privileges", "cgroups", "conmon", "nats"))
    assert not (tmp_path / "state").exists()


def test_a_criu_that_does_not_work_speaks_for_itself(
    tmp_path: Path, shared_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_criu(tmp_path / "bin")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))
    done = doctor(tmp_path, shared_nats_server.url, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (criu,) = [each for each in json.loads(done.stdout) if each["name"] == "criu"]
    assert (criu["ok"], criu["needed"]) == (False, False)
    assert "Unexpected rt vDSO area bounds" in criu["says"]


def test_without_a_server_it_says_why_and_what_to_do_and_no_password(tmp_path: Path) -> None:
    done = doctor(tmp_path, "nats://me:secret@127.0.0.1:1")
    assert done.returncode == 1
    words = " ".join(done.stdout.split())
    assert "FAIL nats 127.0.0.1:1" in words
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_a_broken_configuration_is_told_in_a_line(tmp_path: Path) -> None:
    done = doctor(tmp_path, 'x"]\n[natz]\ny = ["')
    assert done.returncode == 1
    assert "natz" in done.stderr
    assert len(done.stderr.splitlines()) == 1
