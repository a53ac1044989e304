"""Whether a node stays silent: its signs of life, and a bus that tells nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.integration.answering import busy, pong, responding
from tests.integration.bounds import bounded
from tests.integration.client_kit import opened_bus
from tests.integration.played_nodes import is_there
from tests.support.cable import cable_to
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import NotSetUp, Wharfside
from wharfside_client.bus import Bus
from wharfside_client.unheard import ANSWER_S
from wharfside_protocol.envelope import Command, Result

pytestmark = requires("nats-server")

FOR_S, EVERY_S = 0.3, 0.1


async def test_a_node_that_gives_no_sign(bus: Bus) -> None:
    """Neither that it was here once nor that it never was changes it."""
    await is_there(bus)
    for node in ("n1", "n9"):
        assert await bounded(Wharfside(bus).node(node).unheard(FOR_S, every_s=EVERY_S), node)


@pytest.mark.parametrize("answer", [pong, busy])
async def test_any_answer_is_a_sign(
    nats_server: NatsServer, bus: Bus, answer: Callable[[Command], Result]
) -> None:
    await is_there(bus)
    async with responding(nats_server, lambda command, _: answer(command)):
        assert not await bounded(Wharfside(bus).node("n1").unheard(60, every_s=EVERY_S), "a sign")


async def test_another_put_is_a_sign(nats_server: NatsServer, bus: Bus) -> None:
    """Also where nothing is answered."""
    await is_there(bus)
    async with responding(nats_server, lambda _, __: None) as node:
        unheard = asyncio.ensure_future(Wharfside(bus).node("n1").unheard(60, every_s=EVERY_S))
        await eventually(lambda: node.commands, "it is asked")
        await is_there(bus)
        assert not await bounded(unheard, "a sign")


async def test_who_is_cut_off_himself_does_not_take_it_for_silence(
    nats_server: NatsServer, bus: Bus
) -> None:
    """The time passes in which nothing comes, and does not count: the node was back meanwhile."""
    await is_there(bus)
    async with (
        cable_to(nats_server.port) as cable,
        opened_bus(cable.url) as far,
        responding(nats_server, lambda _, __: None) as node,
    ):
        unheard = asyncio.ensure_future(Wharfside(far).node("n1").unheard(FOR_S, every_s=EVERY_S))
        await eventually(lambda: node.commands, "it is asked")
        cable.cut()
        await is_there(bus)
        done, _ = await asyncio.wait([unheard], timeout=ANSWER_S + 4 * FOR_S)
        assert not done
        cable.mend()
        assert not await bounded(unheard, "a sign")


async def test_a_fleet_that_is_not_set_up(nats_server: NatsServer) -> None:
    async with opened_bus(nats_server.url) as bus:
        with pytest.raises(NotSetUp, match="bootstrap"):
            await Wharfside(bus).node("n1").unheard(FOR_S)
