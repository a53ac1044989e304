"""The orchestrators in `js` and `go` do all of their work with an orchestrator's rights alone."""

from __future__ import annotations

import re
import subprocess

import pytest
from tests.foreign.kit import GO_TESTS, JS, LANGUAGES, site
from tests.security.secured import NODES, SecuredWorld
from tests.support.eventually import wait_until
from tests.support.requirements import GO, need, requires

SCENARIOS = (
    *("archives", "discovery", "durable", "errors", "events", "life", "malformed", "nodes"),
    *("sessions", "standards", "viewer"),
)
"""In every language; each as a program, or a test, of its name."""

REFUSED = {"errors": 1}
"""What a scenario asks for to see it refused; the server refuses nobody anything else."""

ELSEWHERE = {"Vectors", "Envelopes", "Digests", "Signatures", "AwaySend", "AwayRead"}


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    need(request.param)
    return str(request.param)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(ground: SecuredWorld, language: str, scenario: str) -> None:
    before = refusals(ground)
    LANGUAGES[language](scenario, WHARFSIDE_SITE=site(ground))
    # a server tells whom it refuses before it writes that down
    there = len(before) + REFUSED.get(scenario, 0)
    wait_until(lambda: len(refusals(ground)) >= there, "what was refused is logged")
    assert len(refused := refusals(ground)[len(before) :]) == REFUSED.get(scenario, 0), refused


def refusals(ground: SecuredWorld) -> list[str]:
    return [line for line in ground.secured.server.log.splitlines() if "iolation" in line]


def test_no_scenario_is_left_out(language: str) -> None:
    if language == "node":
        there = {path.stem for path in (JS / "scenarios").glob("*.js")} - {"kit"}
    else:
        told = subprocess.check_output([GO_TESTS, "-test.list", "."], text=True, timeout=30)
        names = {line.removeprefix("Test") for line in told.split() if line.startswith("Test")}
        assert names >= ELSEWHERE
        there = {name.lower() for name in names - ELSEWHERE}
    assert there == set(SCENARIOS)


def test_a_command_to_a_node_that_is_away(ground: SecuredWorld, language: str) -> None:
    """Sent by one life of the orchestrator, done once the node is back, read by the next life."""
    errand = {"id": f"errand-{language}-0001", "name": f"{language}-errand"}
    told = {"WHARFSIDE_SITE": site(ground), "WHARFSIDE_ERRAND": errand}
    agent, run = ground.agents[NODES[1]], LANGUAGES[language]
    assert agent.stop() == 0
    try:
        run("away/send", **told)
    finally:
        agent.start(until="bus-connected")
    run("away/read", **told)


@requires("go")
def test_the_first_call_of_the_guide(ground: SecuredWorld) -> None:
    """docs/examples/first_call.go, as the guide shows it."""
    called = first_call(ground, NODES[0])
    told = r"node-a is there, at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z\n"
    assert re.fullmatch(told, called.stdout), called
    nobody = first_call(ground, "nowhere")
    assert nobody.returncode == 1
    assert "no responders" in nobody.stderr


def first_call(ground: SecuredWorld, node: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "NATS_URL": ground.secured.server.url,
        "NATS_NKEY": str(ground.secured.credentials("ops")),
        "WHARFSIDE_PEER": "ops",
    }
    return subprocess.run(
        [GO / "bin" / "first_call", node],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_with_a_jwt_and_tls(ground_of_jwts: SecuredWorld, language: str) -> None:
    before = refusals(ground_of_jwts)
    LANGUAGES[language]("viewer", WHARFSIDE_SITE=site(ground_of_jwts))
    assert refusals(ground_of_jwts) == before
