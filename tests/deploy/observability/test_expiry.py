"""When the node's credentials end is a figure before it is an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.deploy.observability.pages import observed
from tests.support.agent import agent_process
from tests.support.eventually import wait_until
from tests.support.jwts import Trust
from tests.support.leaks import LeakGate
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

pytestmark = requires("root", "crun", "conmon", "nats-server")


def test_a_jwt_tells_when_it_ends(
    leak_gate: LeakGate, start_nats_server: Callable[..., NatsServer], tmp_path: Path
) -> None:
    trust, ends = Trust(), int(time.time()) + 3000
    server = start_nats_server(trust.config)
    creds = tmp_path / "node.creds"
    creds.write_text(trust.creds(ends))
    creds.chmod(0o600)
    folder = tmp_path / "agent"
    with agent_process("n1", server.url, folder, tmp_path, cgroup=leak_gate.cgroup) as agent:
        agent.nats = f'creds = "{creds}"\n'
        pages = observed(agent)
        name, labels = "wharfside_credentials_expire_seconds", {"credential": "jwt"}

        def told() -> bool:
            return bool(pages.scrape()[name].samples)

        wait_until(told, "the end is told")
        assert pages.value(name, path=str(creds), **labels) == ends
        assert agent.stop() == 0
