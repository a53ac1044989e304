"""Node, and what the scenarios in `js/` are told of the site that they work on."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.security.secured import NODES, SecuredWorld
from tests.support.requirements import find_command

JS = Path(__file__).parent / "js"
REPOSITORY = JS.parents[2]
BOUND_S = 60.0
"""A program that hangs is ended, and its test says what it had told so far."""


def run_node(script: str, **environment: object) -> None:
    """Runs `script` (below `js/`); fails with all that it printed where it did not end well.

    What is no text in `environment` goes there as JSON.
    """
    node = find_command("node")
    assert node is not None
    told = {k: v if isinstance(v, str) else json.dumps(v) for k, v in environment.items()}
    try:
        ran = subprocess.run(
            [node, "--test-reporter=spec", JS / script],
            env=os.environ | {"NO_COLOR": "1"} | told,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BOUND_S,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")
        raise AssertionError(f"{script} took longer than {BOUND_S} s:\n{said}") from None
    print(said := ran.stdout.decode(errors="replace"))
    assert ran.returncode == 0, said


def site(ground: SecuredWorld) -> dict[str, Any]:
    """What a program is told of where it works: js/scenarios/kit.js."""
    secured = ground.secured
    return {
        "servers": secured.server.url,
        "ca": None if secured.ca is None else str(secured.ca),
        "nodes": list(NODES),
        "rootfs": str(ground.world.rootfs),
        "users": {name: str(secured.credentials(name)) for name in ("ops", "eyes")},
    }
