"""The agent as a NATS micro service (ADR-32): found as `nats micro ls, info, stats` find one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from tests.integration.bounds import BOUND_S
from tests.support.agent import agent_process
from tests.support.eventually import eventually
from tests.support.leaks import LeakGate
from tests.support.nats_server import NatsServer

from wharfside_protocol.codec import decode, encode
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.ops import OPS

pytestmark = pytest.mark.requires("crun", "conmon", "nats-server", "root")


@pytest.fixture
async def client(
    leak_gate: LeakGate, tmp_path: Path, shared_nats_server: NatsServer
) -> AsyncIterator[Client]:
    url = shared_nats_server.url
    with agent_process("found-1", url, tmp_path / "a", tmp_path, cgroup=leak_gate.cgroup) as agent:
        agent.start(until="bus-connected")
        client = await nats.connect(url)
        yield client
        await client.close()
        agent.stop()


async def asked(client: Client, verb: str) -> dict[str, Any]:
    """The answer of found-1; interest spreads late, so the first question may go unheard."""

    async def ask() -> dict[str, Any] | None:
        try:
            reply = await client.request(f"$SRV.{verb}.wharfside-agent", b"", timeout=1)
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
            return None
        return dict(json.loads(reply.data))

    found = await eventually(ask, f"an answer to {verb}")
    assert found is not None
    return found


async def test_ping_info_and_stats_tell_one_endpoint_for_all_ops(client: Client) -> None:
    assert (await asked(client, "PING"))["metadata"]["node"] == "found-1"
    info = await asked(client, "INFO")
    (endpoint,) = info["endpoints"]
    assert endpoint["subject"] == "wharfside.v1.rpc.found-1.*"
    assert set(endpoint["metadata"]["ops"].split(",")) == set(OPS)
    # new with each client: not micro's own "q", which would share a name's commands
    assert endpoint["queue_group"] not in ("q", info["metadata"]["node_id"])
    stats = await asked(client, "STATS")
    assert stats["endpoints"][0]["num_requests"] == 0


async def test_an_answer_carries_the_trace_and_no_other_header_of_the_caller(
    client: Client,
) -> None:
    await asked(client, "PING")
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    command = Command(id="discover-1", op="ping", node="found-1")
    reply = await client.request(
        "wharfside.v1.rpc.found-1.ping",
        encode(command),
        headers={"traceparent": trace, "x-secret": "mine"},
        timeout=BOUND_S,
    )
    assert decode(reply.data, Result).ok
    assert reply.headers == {"traceparent": trace}
