"""A node that cannot do its work says which part of it, and serves its figures all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.deploy.observability.pages import READY_S, Pages, observed
from tests.integration.world import bootstrap
from tests.support.agent import AgentProcess, agent_process
from tests.support.eventually import eventually, wait_until
from tests.support.leaks import LeakGate
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

pytestmark = requires("root", "crun", "conmon", "nats-server")


@pytest.fixture
def lone_agent(
    leak_gate: LeakGate, start_nats_server: Callable[..., NatsServer], tmp_path: Path
) -> Iterator[AgentProcess]:
    """On a server on which nobody has run `wharfside bootstrap`."""
    server = start_nats_server()
    folder = tmp_path / "agent"
    with agent_process("n1", server.url, folder, tmp_path, cgroup=leak_gate.cgroup) as agent:
        yield agent


async def test_missing_streams_are_told_until_somebody_makes_them(
    lone_agent: AgentProcess,
) -> None:
    pages = observed(lone_agent)
    await eventually(lambda: _wanting(pages) == {"streams": "no-stream"}, "told", within_s=READY_S)
    assert pages.json("/healthz")[0] == 200
    assert pages.value("wharfside_ready", part="streams") == 0
    assert pages.value("wharfside_ready", part="bus") == 1
    assert pages.value("wharfside_outbox_events") > 0
    assert pages.value("wharfside_outbox_oldest_age_seconds") > 0
    assert pages.value("wharfside_publish_retries_total", what="events") > 0
    await bootstrap(lone_agent.server)
    await eventually(lambda: pages.json("/readyz")[0] == 200, "ready", within_s=READY_S)
    await eventually(lambda: pages.value("wharfside_outbox_events") == 0, "told", within_s=READY_S)
    assert pages.value("wharfside_outbox_oldest_age_seconds") == 0
    assert lone_agent.stop() == 0


def test_without_a_server_the_bus_is_what_is_wanting(leak_gate: LeakGate, tmp_path: Path) -> None:
    nowhere = "nats://127.0.0.1:1"
    with agent_process("n1", nowhere, tmp_path, tmp_path, cgroup=leak_gate.cgroup) as agent:
        pages = observed(agent)
        wait_until(lambda: _wanting(pages) == {"bus": "offline"}, "told", within_s=READY_S)
        assert pages.json("/healthz")[1]["alive"] is True
        assert agent.stop() == 0


def _wanting(pages: Pages) -> dict[str, str]:
    status, told = pages.json("/readyz")
    wanting = {part: why for part, why in told["parts"].items() if why != "ok"}
    assert (status == 200, told["ready"]) == (not wanting, not wanting)
    return wanting
