"""Answers across accounts: late ones arrive, and what was answered costs the server no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from tests.integration.bounds import BOUND_S
from tests.security.secured import NODES, Secured
from tests.support.eventually import eventually

SUBJECT = f"wharfside.v1.rpc.{NODES[0]}.wait"
SERVER_S = 120.0
"""nats-server's own limit of an answer to another account."""

MANY, AT_ONCE = 40_000, 32
PROBE = b"are you there"
KEPT_BYTES = 300
"""Of each request: a route that is kept for its answers takes 700 to 1,000."""

pytestmark = pytest.mark.soak


@pytest.fixture
async def asker(secured: Secured) -> AsyncIterator[Client]:
    async with secured.raw("ops") as client:
        yield client


@pytest.fixture
async def node(secured: Secured) -> AsyncIterator[Client]:
    async with secured.raw(NODES[0]) as client:
        yield client


async def heard(asker: Client) -> None:
    """A subscription is known in another account a moment after it was made."""

    async def answered() -> bool:
        with contextlib.suppress(NoRespondersError):
            await asker.request(SUBJECT, PROBE, timeout=BOUND_S)
            return True
        return False

    await eventually(answered, "a responder is known")


async def test_one_that_takes_longer_than_the_server_likes(asker: Client, node: Client) -> None:
    async def answer(message: Msg) -> None:
        if message.data == PROBE:
            await message.respond(b"")
            return
        asyncio.get_running_loop().call_later(
            SERVER_S + 15, lambda: answers.append(asyncio.create_task(message.respond(b"late")))
        )

    answers: list[asyncio.Task[None]] = []
    await node.subscribe(SUBJECT, cb=answer)
    await heard(asker)
    got = await asker.request(SUBJECT, b"", timeout=SERVER_S + 15 + BOUND_S)
    assert got.data == b"late"


async def test_what_was_answered_leaves_nothing(
    secured: Secured, asker: Client, node: Client
) -> None:
    async def answer(message: Msg) -> None:
        await message.respond(b"x" * 100)

    await node.subscribe(SUBJECT, cb=answer)
    await heard(asker)

    async def ask(times: int) -> None:
        for _ in range(times):
            await asker.request(SUBJECT, b"", timeout=BOUND_S)

    await ask(1000)
    before = _resident(secured.server.pid)
    await asyncio.gather(*(ask(MANY // AT_ONCE) for _ in range(AT_ONCE)))
    assert _resident(secured.server.pid) - before < MANY * KEPT_BYTES


def _resident(pid: int) -> int:
    """Bytes; proc_pid_status(5)."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024
