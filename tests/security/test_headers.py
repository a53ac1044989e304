"""Headers by which a publisher asks the server for more than to keep its message.

No stream lets any of them through but what Wharfside itself uses, so that a node changes nothing
beyond its own subjects by them, and has nothing sent where it may not publish itself.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client
from tests.integration.bounds import BOUND_S
from tests.security.secured import NODES, ROGUE, Secured
from tests.support.eventually import eventually

P = "wharfside.v1"
CONTAINER = "$KV.WHARFSIDE_CONTAINERS.rogue.c1"
OWN = (
    f"{P}.evt.{ROGUE}.c1.exited", f"{P}.res.{ROGUE}.idididid.result", f"{P}.log.{ROGUE}.c1.init",
    f"{P}.ckpt.{ROGUE}.{NODES[1]}.idididid.1", f"$KV.WHARFSIDE_NODES.{ROGUE}", CONTAINER,
)  # fmt: skip
VICTIM = f"{P}.evt.{NODES[1]}"

ASKING = {
    "to wipe the stream": {"Nats-Rollup": "all"},
    "to wipe the subject": {"Nats-Rollup": "sub"},
    "to say it elsewhere, later": {
        "Nats-Schedule": "@at 2030-01-01T00:00:00Z",
        "Nats-Schedule-Target": f"{P}.cmd.{NODES[1]}.delete",
    },
    "for many at once": {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1"},
    "for a counter": {"Nats-Incr": "+1"},
    "to have come from another stream": {"Nats-Stream-Source": "WHARFSIDE_EVT 1 > >"},
}


@pytest.fixture
async def rogue(secured: Secured) -> AsyncIterator[Client]:
    async with secured.raw(ROGUE) as client:
        yield client


async def stored(client: Client, subject: str, **headers: str) -> dict[str, Any]:
    answer = await client.request(subject, b"x", timeout=BOUND_S, headers=headers or None)
    return dict(json.loads(answer.data))


@pytest.mark.parametrize("what", ASKING)
async def test_no_stream_takes_a_message_that_asks(rogue: Client, what: str) -> None:
    for subject in OWN:
        answer = await stored(rogue, subject, **ASKING[what])
        assert "error" in answer, (subject, answer)


async def test_only_a_projection_may_go_by_itself(rogue: Client) -> None:
    for subject in OWN:
        answer = await stored(rogue, subject, **{"Nats-TTL": "1s"})
        assert ("error" in answer) is (subject != CONTAINER), (subject, answer)


async def test_a_trace_goes_nowhere_that_its_sender_may_not_publish(
    secured: Secured, rogue: Client
) -> None:
    """The server tells by which accounts a message went, and who took it (`Nats-Trace-Dest`)."""
    for place in (f"_INBOX_{ROGUE}.x", f"{P}.rpc.{NODES[1]}.delete", f"{VICTIM}.c1.exited"):
        secured.denied.clear()
        await rogue.publish(OWN[0], b"x", headers={"Nats-Trace-Dest": place})
        await rogue.flush()
        await eventually(lambda at=place: at.lower() in str(secured.denied), "it is refused")


async def test_of_others_a_node_learns_a_number_and_no_more(
    secured: Secured, rogue: Client
) -> None:
    """What docs/security.md owns up to: the sequence expected of a foreign subject is compared,
    and told where it differs. So a node may ask whether a container is there, by its name."""
    async with secured.raw(NODES[1]) as victim:
        kept = await stored(victim, f"{VICTIM}.secret.started")
    for subject, seq in ((f"{VICTIM}.secret.>", kept["seq"]), (f"{VICTIM}.no-such.>", 0)):
        asked = {
            "Nats-Expected-Last-Subject-Sequence": str(2**64 - 1),
            "Nats-Expected-Last-Subject-Sequence-Subject": subject,
        }
        answer = await stored(rogue, OWN[0], **asked)
        assert answer == {
            "error": {
                "code": 400,
                "err_code": 10071,
                "description": f"wrong last sequence: {seq}",
            },
            "stream": "WHARFSIDE_EVT",
            "seq": 0,
        }
