"""The orchestrator in `js/wharfside` does all of its work with an orchestrator's rights alone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.foreign.kit import JS, run_node
from tests.security.secured import NODES, SecuredWorld

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


def test_a_command_to_a_node_that_is_away(ground: SecuredWorld, site: dict[str, Any]) -> None:
    """Sent by one life of the orchestrator, done once the node is back, read by the next life."""
    agent, errand = ground.agents[NODES[1]], {"id": "errand-00000001", "name": "js-errand"}
    assert agent.stop() == 0
    try:
        run_node("scenarios/away/send.js", WHARFSIDE_SITE=site, WHARFSIDE_ERRAND=errand)
    finally:
        agent.start(until="bus-connected")
    run_node("scenarios/away/read.js", WHARFSIDE_SITE=site, WHARFSIDE_ERRAND=errand)
