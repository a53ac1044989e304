"""Calls on a real server: what is missing is told at once, what is lost is sent again.

The nodes here are plain subscriptions of nats-py: what is tested is the way there and
back, and a real agent would not swallow an answer when asked to.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import pytest
from msgspec.structs import replace
from tests.integration.answering import busy, pong, responding
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.client_kit import presence, publish_many
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import (
    NodeUnreachable,
    ServerSettings,
    ServerUnreachable,
    Unanswered,
    Wharfside,
    connect,
)
from wharfside_client.bus import Bus
from wharfside_client.errors import Refused
from wharfside_protocol.assets import node_key
from wharfside_protocol.codec import encode
from wharfside_protocol.envelope import DEFAULT_RPC_SECONDS, Command, Result
from wharfside_protocol.errors import Busy, Denied, Unsupported

pytestmark = requires("nats-server")


@pytest.fixture
async def fleet(nats_server: NatsServer) -> AsyncIterator[Wharfside]:
    async with connect(nats_server.url) as fleet:
        yield fleet


async def test_a_node_that_is_not_there_is_told_soon(fleet: Wharfside) -> None:
    started = time.monotonic()
    with pytest.raises(NodeUnreachable, match="wharfside nodes") as caught:
        await fleet.node("n9").ping()
    assert caught.value.details == {"node": "n9"}
    assert time.monotonic() - started < DEFAULT_RPC_SECONDS


async def test_a_node_that_comes_within_the_callers_patience_answers(
    nats_server: NatsServer, fleet: Wharfside
) -> None:
    asking = asyncio.ensure_future(fleet.node("n1").ping(unreachable_s=BOUND_S))
    async with responding(nats_server, lambda command, _: pong(command)):
        assert (await bounded(asking, "an answer")).epoch == 1


async def test_a_lost_answer_is_asked_for_again_under_the_same_id(
    nats_server: NatsServer, fleet: Wharfside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfside_client.calls.FIRST_ATTEMPT_S", 0.1)
    async with responding(nats_server, lambda c, n: pong(c) if n >= 3 else None) as node:
        await fleet.node("n1").ping(command_id="mine-0001")
    assert len(node.commands) >= 3  # the answers that are given may be late themselves
    assert {command.id for command in node.commands} == {"mine-0001"}
    assert len({command.deadline for command in node.commands}) == 1


async def unreachable(fleet: Wharfside) -> bool:
    """Whether nobody is there; a message may still go to a subscription that was just ended."""
    try:
        await fleet.node("n1").ping(timeout_s=0.3)
    except NodeUnreachable:
        return True
    except Unanswered:
        return False
    return False


async def test_a_node_that_went_away_with_the_command_is_waited_for(
    nats_server: NatsServer, fleet: Wharfside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been done: that the node is gone now must not say that nothing was."""
    monkeypatch.setattr("wharfside_client.calls.FIRST_ATTEMPT_S", 0.1)
    async with responding(nats_server, lambda _c, _n: None) as dying:
        asking = asyncio.ensure_future(
            fleet.node("n1").ping(command_id="mine-0001", timeout_s=BOUND_S)
        )
        await eventually(lambda: dying.commands, "the command arrives")
    await eventually(lambda: unreachable(fleet), "the server forgets the interest")
    async with responding(nats_server, lambda command, _: pong(command)) as next_life:
        await bounded(asking, "an answer")
    assert next_life.commands[0].id == "mine-0001"


async def test_a_node_that_stays_away_with_the_command_leaves_it_unknown(
    nats_server: NatsServer, fleet: Wharfside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfside_client.calls.FIRST_ATTEMPT_S", 0.1)
    async with responding(nats_server, lambda _c, _n: None) as dying:
        asking = asyncio.ensure_future(fleet.node("n1").ping(timeout_s=1.5))
        await eventually(lambda: dying.commands, "the command arrives")
    with pytest.raises(Unanswered, match="unknown whether"):
        await bounded(asking, "the end of patience")


async def test_a_busy_node_is_asked_again(nats_server: NatsServer, fleet: Wharfside) -> None:
    async with responding(nats_server, lambda c, n: pong(c) if n == 3 else busy(c)) as node:
        await fleet.node("n1").ping()
    assert len(node.commands) == 3


async def test_a_busy_that_is_kept_is_the_answer(nats_server: NatsServer, fleet: Wharfside) -> None:
    """Found out once the command had begun, as of a quota: the same id gets no other."""

    def answer(command: Command, number: int) -> Result:
        return replace(busy(command), replayed=number > 1)

    async with responding(nats_server, answer) as node:
        with pytest.raises(Busy, match="too much"):
            await bounded(fleet.node("n1").pause("web", timeout_s=600), "the answer")
    assert len(node.commands) == 2


async def test_a_node_that_stays_busy_is_told_as_that(
    nats_server: NatsServer, fleet: Wharfside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfside_client.calls.ANSWER_S", BOUND_S)  # the last one, too, has time
    async with responding(nats_server, lambda c, _: busy(c)):
        with pytest.raises(Busy, match="too much"):
            await fleet.node("n1").ping(timeout_s=1.5)


async def test_no_answer_at_all_is_told_as_unknown(
    nats_server: NatsServer, fleet: Wharfside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfside_client.calls.ANSWER_S", 0.1)
    async with responding(nats_server, lambda _c, _n: None):
        with pytest.raises(Unanswered, match="same command id") as caught:
            await fleet.node("n1").ping(timeout_s=0.2)
    assert caught.value.stage == "unanswered"


async def test_a_restart_of_the_server_in_the_middle_of_a_call_is_outlived(
    nats_server: NatsServer, fleet: Wharfside
) -> None:
    """The first answer is never given: the connection breaks while it is waited for."""
    async with responding(nats_server, lambda c, n: pong(c) if n > 1 else None) as node:
        asking = asyncio.ensure_future(fleet.node("n1").ping(unreachable_s=BOUND_S))
        await eventually(lambda: node.commands, "the command arrives")
        await asyncio.to_thread(nats_server.restart)
        await bounded(asking, "an answer after the restart")
    assert len({command.id for command in node.commands}) == 1


async def test_an_op_that_no_table_has_is_not_even_sent(fleet: Wharfside) -> None:
    with pytest.raises(Unsupported, match="no op 'explode'"):
        await fleet.node("n1").call("explode")


async def test_a_fleet_is_asked_at_once_and_says_who_did_not_answer(
    nats_server: NatsServer, fleet: Wharfside
) -> None:
    async with responding(nats_server, lambda command, _: pong(command)):
        answers = await fleet.ask(lambda node: node.ping(), ["n1", "n2", "n3"])
    assert list(answers.values) == ["n1"]
    assert set(answers.missing) == {"n2", "n3"}
    assert all(isinstance(error, NodeUnreachable) for error in answers.missing.values())


async def test_all_nodes_of_a_large_fleet_are_found(
    nats_server: NatsServer, fleet: Wharfside
) -> None:
    """More than one page of presences; a removed one and a broken one are not nodes."""
    await fleet.setup.bootstrap()
    names = [f"n{number:04d}" for number in range(1050)]
    bus = Bus(ServerSettings(servers=(nats_server.url,)))
    await bus.open()
    await publish_many(bus, [(node_key(name), encode(presence(name))) for name in names])
    await publish_many(bus, [(node_key("broken"), b"\xc1")])
    await bus.close()
    await fleet.setup.remove_node("n0500")
    found = await fleet.nodes()
    assert [status.node for status in found] == [n for n in names if n != "n0500"]
    assert not any(status.silent for status in found)


async def test_no_server_is_told_at_once_with_what_to_check(nats_server: NatsServer) -> None:
    nats_server.stop()
    patient = ServerSettings(servers=(nats_server.url,), connect_timeout_s=BOUND_S)
    started = time.monotonic()
    with pytest.raises(ServerUnreachable, match="--server"):
        async with connect(patient):
            pass
    assert time.monotonic() - started < BOUND_S


async def test_one_server_of_several_is_enough(nats_server: NatsServer) -> None:
    settings = ServerSettings(servers=("nats://127.0.0.1:1", nats_server.url))
    async with connect(settings) as fleet:
        with pytest.raises(NodeUnreachable):
            await fleet.node("n1").ping(unreachable_s=0)


SECURED = """
authorization {
  users = [
    {user: ops, password: "%s", permissions: {
      publish: ["wharfside.v1.rpc.n1.*"], subscribe: ["_INBOX.ops.>"]}}
    {user: node, password: node}
  ]
}
"""


def ops(server: NatsServer, password: str = "right", peer: str = "ops") -> ServerSettings:
    return ServerSettings(servers=(server.url,), user="ops", password=password, peer=peer)


async def test_a_wrong_password_is_told_as_a_refusal(
    start_nats_server: Callable[..., NatsServer],
) -> None:
    server = start_nats_server(SECURED % "right", name="secured")
    with pytest.raises(Refused, match="--creds"):
        async with connect(ops(server, "wrong")):
            pass


async def test_what_may_not_be_published_is_denied_at_once(
    start_nats_server: Callable[..., NatsServer],
) -> None:
    server = start_nats_server(SECURED % "right", name="secured")
    async with connect(ops(server)) as fleet:
        with pytest.raises(NodeUnreachable):
            await fleet.node("n1").ping(unreachable_s=0)
        with pytest.raises(Denied, match=r"wharfside\.v1\.rpc\.n2\.ping") as caught:
            await bounded(fleet.node("n2").ping(), "the denial")
    assert caught.value.details["rule"] == "nats-publish"


async def test_somebody_elses_inbox_is_denied_with_advice(
    start_nats_server: Callable[..., NatsServer],
) -> None:
    server = start_nats_server(SECURED % "right", name="secured")
    async with connect(ops(server, peer="someone")) as fleet:
        with pytest.raises(Denied, match="--peer"):
            await bounded(fleet.node("n1").ping(), "the denial")


async def test_a_connection_that_the_server_ended_for_good_is_made_anew(
    start_nats_server: Callable[..., NatsServer],
) -> None:
    """nats-py stays closed after an authorization error; the client does not."""
    server = start_nats_server(SECURED % "right", name="secured")
    async with connect(ops(server)) as fleet:
        await eventually(lambda: is_heard(fleet), "a connection")
        reload(server, "other")
        await eventually(lambda: is_not_heard(fleet), "cut off")
        reload(server, "right")
        await eventually(lambda: is_heard(fleet), "a connection again")


async def is_heard(fleet: Wharfside) -> bool:
    """Whether the server answers (that there is no such node)."""
    try:
        await fleet.node("n1").ping(unreachable_s=0, timeout_s=0.2)
    except NodeUnreachable:
        return True
    except (ServerUnreachable, Unanswered):
        return False
    raise AssertionError("nobody plays n1 here")


async def is_not_heard(fleet: Wharfside) -> bool:
    return not await is_heard(fleet)


def reload(server: NatsServer, password: str) -> None:
    """Another password for ops, taken over by the running server."""
    config = server.directory / "nats.conf"
    text = config.read_text()
    start = text.index("authorization {")
    config.write_text(text[:start] + (SECURED % password).strip() + "\n")
    os.kill(server.pid, signal.SIGHUP)
