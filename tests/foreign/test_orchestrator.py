"""The orchestrator in `js/wharfside` does all of its work with an orchestrator's rights alone."""

from __future__ import annotations

import pytest
from tests.foreign.kit import JS, run_node, site
from tests.security.secured import NODES, SecuredWorld

SCENARIOS = sorted(path.name for path in (JS / "scenarios").glob("*.js") if path.name != "kit.js")

REFUSED = {"errors.js": 1}
"""What a scenario asks for to see it refused; the server refuses nobody anything else."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(ground: SecuredWorld, scenario: str) -> None:
    before = refusals(ground)
    run_node(f"scenarios/{scenario}", WHARFSIDE_SITE=site(ground))
    assert len(refused := refusals(ground)[len(before) :]) == REFUSED.get(scenario, 0), refused


def refusals(ground: SecuredWorld) -> list[str]:
    return [line for line in ground.secured.server.log.splitlines() if "iolation" in line]


def test_a_command_to_a_node_that_is_away(ground: SecuredWorld) -> None:
    """Sent by one life of the orchestrator, done once the node is back, read by the next life."""
    agent, errand = ground.agents[NODES[1]], {"id": "errand-00000001", "name": "js-errand"}
    told = {"WHARFSIDE_SITE": site(ground), "WHARFSIDE_ERRAND": errand}
    assert agent.stop() == 0
    try:
        run_node("scenarios/away/send.js", **told)
    finally:
        agent.start(until="bus-connected")
    run_node("scenarios/away/read.js", **told)


def test_with_a_jwt_and_tls(ground_of_jwts: SecuredWorld) -> None:
    run_node("scenarios/viewer.js", WHARFSIDE_SITE=site(ground_of_jwts))
    assert refusals(ground_of_jwts) == []
