"""The real Prometheus scrapes the agent, and evaluates every query that deploy/ ships."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deploy.observability import queries
from tests.deploy.observability.pages import Pages
from tests.deploy.observability.prometheus import Prometheus, prometheus
from tests.support.eventually import wait_until
from tests.support.requirements import find_command, requires

pytestmark = requires("root", "crun", "conmon", "busybox-static", "nats-server", "prometheus")

SCRAPES = 4
"""A rate needs two; what a scrape itself counts (a turn of the loop) needs some more."""

NOTHING_YET = {"Credentials, time left"}
"""This agent has no credentials, so nothing of them expires."""


@pytest.fixture(scope="module")
def server(pages: Pages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), pages.address) as server:
        enough = f'count_over_time(up{{job="wharfside"}}[1m]) >= {SCRAPES}'
        wait_until(lambda: server.query(enough), "scraped", within_s=90)
        yield server


def test_the_agent_is_up(server: Prometheus) -> None:
    (up,) = server.query('up{job="wharfside"}')
    assert up["value"][1] == "1"


@pytest.mark.parametrize(("title", "expression"), queries.panel_queries())
def test_every_panel_has_something_to_draw(server: Prometheus, title: str, expression: str) -> None:
    assert bool(server.query(expression)) is (title not in NOTHING_YET)


def test_every_rule_is_evaluated_and_none_fires_for_a_node_that_is_well(
    server: Prometheus,
) -> None:
    names = {name for name, _ in queries.alert_queries()}

    def evaluated() -> bool:
        rules = server.rules()
        return len(rules) == len(names) and all(rule["health"] != "unknown" for rule in rules)

    wait_until(evaluated, "all rules are evaluated", within_s=90)
    rules = server.rules()
    assert {rule["name"]: rule["health"] for rule in rules} == dict.fromkeys(names, "ok")
    # what is pending may be so for a moment of a busy machine: it fires after minutes of that
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"),
        ("test", "rules", str(Path(__file__).with_name("alerts.test.yml"))),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_agrees(arguments: tuple[str, ...]) -> None:
    promtool = str(find_command("promtool"))
    done = subprocess.run(
        [promtool, *arguments], cwd=queries.PROMETHEUS, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
