"""What the agent tells of itself is true, and is what the dashboard and the alarms ask for."""

from __future__ import annotations

import subprocess

import pytest
from prometheus_client.metrics_core import Metric as Family
from tests.deploy.observability import queries
from tests.deploy.observability.pages import READY_S, Pages
from tests.deploy.observability.scenario import RUNS
from tests.integration.world import Site
from tests.support.eventually import eventually, wait_until
from tests.support.requirements import find_command, requires

from wharfside_agent.composition.measures import METRICS

pytestmark = requires("root", "crun", "conmon", "busybox-static", "nats-server")

NOT_HERE = {"wharfside_credentials_expire_seconds"}
"""This agent has no credentials, so nothing of them expires."""


@pytest.fixture(scope="module")
def scraped(pages: Pages) -> dict[str, Family]:
    return pages.scrape()


def test_what_happened_is_counted(pages: Pages) -> None:
    value = pages.value
    assert value("wharfside_containers", state="running") == 1
    assert value("wharfside_exits_total", process="init", reason="self") == RUNS + 2
    assert value("wharfside_exits_total", process="init", reason="stop") == 1
    assert value("wharfside_exits_total", process="exec", reason="self") == 1
    assert value("wharfside_restarts_total") == 1
    assert value("wharfside_container_events_total", type="deleted") == RUNS + 1
    assert value("wharfside_command_errors_total", op="stop", code="not-found") == 1
    assert value("wharfside_sessions_opened_total") == RUNS
    assert value("wharfside_session_bytes_total", direction="down") >= RUNS * len("hello\n")
    seconds = "wharfside_command_duration_seconds_count"
    assert value(seconds, op="run", via="rpc", outcome="ok") == RUNS + 2
    assert value(seconds, op="stop", via="rpc", outcome="error") == 1
    assert value(seconds, op="stop", via="mailbox", outcome="ok") == 1
    assert value("wharfside_mailbox_state", state="ok") == 1


def test_what_is_told_leaves_the_outbox(pages: Pages) -> None:
    value = pages.value
    assert value("wharfside_events_published_total") > 0
    assert value("wharfside_lanes_busy") == 0 and value("wharfside_mailbox_accepted") == 0
    assert value("wharfside_store_commit_duration_seconds_count", by="thread") > 0


def test_a_scrape_has_every_metric_of_the_table_and_no_other(pages: Pages) -> None:
    scraped = {name for name in pages.scrape() if name.startswith("wharfside_")}
    assert scraped == {metric.name for metric in METRICS}


def test_no_label_names_a_container(pages: Pages) -> None:
    text = pages.text()
    assert '"kept"' not in text and '"hello"' not in text


def test_alive_and_ready(pages: Pages) -> None:
    status, alive = pages.json("/healthz")
    assert (status, alive["alive"], alive["node"]) == (200, True, "n1")
    wait_until(lambda: pages.json("/readyz")[0] == 200, "ready", within_s=READY_S)
    ready = pages.json("/readyz")[1]
    assert ready["ready"] is True
    assert set(ready["parts"].values()) == {"ok"}
    assert {"bus", "streams", "runtime", "loop", "disk"} <= set(ready["parts"])


async def test_presence_and_readyz_tell_the_same(pages: Pages, site: Site) -> None:
    async def both() -> bool:
        (told,) = [each for each in await site.fleet.nodes() if each.node == "n1"]
        return (await site.node.info()).ready == told.info.ready == {}

    await eventually(both, "ready, by both", within_s=READY_S)


@pytest.mark.parametrize(("title", "expression"), queries.panel_queries())
def test_a_panel_asks_for_what_there_is(
    scraped: dict[str, Family], title: str, expression: str
) -> None:
    assert not set(queries.unknown_to(scraped, expression)) - _not_here(), title


@pytest.mark.parametrize(("alert", "expression"), queries.alert_queries())
def test_an_alarm_asks_for_what_there_is(
    scraped: dict[str, Family], alert: str, expression: str
) -> None:
    assert not set(queries.unknown_to(scraped, expression)) - _not_here(), alert


def _not_here() -> set[str]:
    return NOT_HERE | {f"{name}{{{label}}}" for name in NOT_HERE for label in ("credential",)}


@requires("prometheus")
def test_promtool_finds_nothing_wrong_with_the_page(pages: Pages) -> None:
    promtool = str(find_command("promtool"))
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=pages.text(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
