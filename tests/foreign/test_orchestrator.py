"""The orchestrator in `js/wharfside` does all of its work with an orchestrator's rights alone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.foreign.kit import JS, run_node
from tests.security.secured import SecuredWorld

SCENARIOS = sorted(path.name for path in (JS / "scenarios").glob("*.js") if path.name != "kit.js")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(ground: SecuredWorld, site: dict[str, Any], scenario: str) -> None:
    """The server refuses nothing, but what a scenario asks for to see it refused (errors.js)."""
    log = ground.secured.server.log
    before = len(log)
    run_node(f"scenarios/{scenario}", WHARFSIDE_SITE=site)
    refused = [
        line for line in ground.secured.server.log[before:].splitlines() if "iolation" in line
    ]
    assert len(refused) == (1 if scenario == "errors.js" else 0), refused
