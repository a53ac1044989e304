"""Who may only look, and asks for all there is, keeps nobody out who has something to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.integration.attach_kit import KEPT, attached, seen
from tests.integration.bounds import BOUND_S
from tests.integration.fifos import SLEEPS, shell
from tests.integration.world import Site, open_site
from tests.security.secured import NODES, SecuredWorld
from tests.support.eventually import eventually

from wharfside_agent.log_floods import MOST
from wharfside_client.auth.state import Form
from wharfside_protocol.codec import decode, encode
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.subjects import Subjects

pytestmark = pytest.mark.parametrize("ground", [Form.STATIC], indirect=True)

S = Subjects()
NODE = NODES[1]
AS_MANY = 256
"""limits.requests and limits.sessions, as they are by default."""


class Crowd:
    """The viewer, asking more than the node takes; what it was answered so far."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.answers: list[Result] = []

    async def ask(self, op: str, each: dict[int, dict[str, Any]]) -> None:
        inbox = self._client.new_inbox()

        async def take(message: Msg) -> None:
            self.answers.append(decode(message.data, Result))

        await self._client.subscribe(inbox, cb=take)
        for number, args in each.items():
            command = Command(id=f"{op}-crowd-{number:04}", op=op, node=NODE, args=args)
            await self._client.publish(S.rpc(NODE, op), encode(command), reply=inbox)
        await self._client.flush()

    async def refused(self, more_than: int) -> None:
        """That many were told that there is no room: the others have it."""

        def busy() -> bool:
            codes = [a.error.code for a in self.answers if a.error is not None]
            assert set(codes) <= {ErrorCode.BUSY}
            return len(codes) >= more_than

        await eventually(busy, f"{more_than} are answered busy")


@pytest.fixture
async def viewer(ground: SecuredWorld) -> AsyncIterator[Client]:
    async with ground.secured.raw("eyes") as client:
        yield client


@pytest.fixture
async def site(ground: SecuredWorld) -> AsyncIterator[Site]:
    settings = ground.secured.settings("ops")
    async with open_site(ground.world, ground.agents[NODE], settings) as site:
        await site.listed()
        yield site
        await site.clear()
        site.agent.drain()


@pytest.fixture
async def crowd(viewer: Client) -> Crowd:
    return Crowd(viewer)


async def test_waits_of_a_viewer_leave_room_for_commands(site: Site, crowd: Crowd) -> None:
    name = await site.run(SLEEPS)
    long = {"container": name, "timeout_s": BOUND_S}
    await crowd.ask("wait", dict.fromkeys(range(AS_MANY), long))
    await crowd.refused(AS_MANY // 4)
    await site.node.delete(name, force=True)
    await eventually(lambda: len(crowd.answers) == AS_MANY, "all are answered")


async def test_sessions_of_a_viewer_leave_room_for_sessions(site: Site, crowd: Crowd) -> None:
    """In names of many peers: one of them alone has three quarters at most in any case."""
    name = await site.run(shell("while read line; do echo got $line; done"), io=KEPT)
    opened = {
        n: {"container": name, "follow": True, "open": {"peer": f"p{n}", "session": f"s{n}"}}
        for n in range(AS_MANY)
    }
    for start in range(0, AS_MANY, 32):  # fewer at once than are busy for being requests
        await crowd.ask("logs", {n: opened[n] for n in range(start, start + 32)})
        await eventually(lambda end=start + 32: len(crowd.answers) == end, "all are answered")
    await crowd.refused(AS_MANY // 4)
    async with attached(site, name, stdin=True) as session:
        await session.write(b"mine\n")
        assert await seen(session, b"got mine\n") == b"got mine\n"


async def test_a_flood_of_what_nobody_can_answer_fills_no_log(site: Site, viewer: Client) -> None:
    """Each costs a viewer some bytes, and every node would write a line."""
    for _ in range(20 * MOST):
        await viewer.publish("$SRV.PING", b"")
        await viewer.publish(S.rpc(NODE, "ping"), b"")
    await viewer.flush()
    await site.node.ping()
    await eventually(lambda: "are only counted" in site.agent.log_text(), "it is told")
    lines = site.agent.log.read_text().splitlines()
    for event in ("bus-error", "answer-not-sent"):
        assert sum(f'"{event}"' in line for line in lines) <= MOST
