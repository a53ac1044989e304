"""The programs in `js/` and `go/`, and what they are told of the site that they work on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.security.secured import NODES, SecuredWorld
from tests.support.requirements import GO, find_command

JS = Path(__file__).parent / "js"
REPOSITORY = JS.parents[2]
GO_TESTS = GO / "bin" / "scenarios.test"
BOUND_S = 120.0
"""A program that hangs is ended, and its test says what it had told so far."""


def run_node(script: str, **environment: object) -> None:
    """Runs `script` (below `js/`); fails with all that it printed where it did not end well."""
    node = find_command("node")
    assert node is not None
    run([node, "--test-reporter=spec", JS / script], **environment)


def run_go(test: str, **environment: object) -> None:
    """Runs one test of `go/scenarios`, as `run_node` does."""
    arguments = ["-test.v", "-test.timeout", f"{BOUND_S - 5}s", "-test.run", f"^{test}$"]
    said = run([GO_TESTS, *arguments], **environment, WHARFSIDE_DOCUMENTS=str(REPOSITORY))
    assert f"--- PASS: {test} " in said, said


def run(command: list[str | Path], **environment: object) -> str:
    """What is no text in `environment` goes there as JSON."""
    told = {k: v if isinstance(v, str) else json.dumps(v) for k, v in environment.items()}
    try:
        ran = subprocess.run(
            command,
            env=os.environ | {"NO_COLOR": "1"} | told,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BOUND_S,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")
        raise AssertionError(f"{command} took longer than {BOUND_S} s:\n{said}") from None
    print(said := ran.stdout.decode(errors="replace"))
    assert ran.returncode == 0, said
    return said


def js_scenario(name: str, **environment: object) -> None:
    run_node(f"scenarios/{name}.js", **environment)


def go_scenario(name: str, **environment: object) -> None:
    """`away/send` is TestAwaySend."""
    run_go(f"Test{name.title().replace('/', '')}", **environment)


LANGUAGES: dict[str, Callable[..., None]] = {"node": js_scenario, "go": go_scenario}
"""How each runs a scenario, by what it needs of the machine (tests/support/requirements.py)."""


def site(ground: SecuredWorld) -> dict[str, Any]:
    """What a program is told of where it works: js/scenarios/kit.js, go/scenarios/kit_test.go."""
    secured = ground.secured
    return {
        "servers": secured.server.url,
        "ca": None if secured.ca is None else str(secured.ca),
        "nodes": list(NODES),
        "rootfs": str(ground.world.rootfs),
        "users": {name: str(secured.credentials(name)) for name in ("ops", "eyes")},
    }
