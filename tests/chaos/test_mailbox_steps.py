"""The agent dies at each step of a durable command's way: it is done once, and told once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from tests.integration.bounds import bounded
from tests.integration.client_kit import opened_bus
from tests.integration.world import Site, kill, start
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import CMD, RES, SECOND, mailbox
from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.subjects import Subjects

WAIT_S = 30.0


@dataclass(frozen=True)
class After:
    """`ok` None: either. `told`: the container's events in the end, without `reattached`."""

    ok: bool | None
    told: tuple[str, ...]


RUNS = ("created", "started")
UNDONE = ((), ("create-failed",), ("created",))
AFTER = {
    Step.MAILBOX_FETCHED: After(True, RUNS),
    Step.MAILBOX_STORED: After(True, RUNS),
    Step.MAILBOX_ACKED: After(True, RUNS),
    # Begun, and nobody knows whether anything was done: as over rpc.
    Step.MAILBOX_BEGUN: After(False, ()),
    Step.CREATE_INTENDED: After(False, ("create-failed",)),
    Step.START_DONE: After(True, RUNS),
    Step.START_COMMITTED: After(True, RUNS),
    # `accepted` is told while the command runs: however far that was, it is finished or undone.
    Step.REPORT_PUBLISHED: After(None, RUNS),
}


async def impatient_mailbox(site: Site) -> None:
    """As `nodes add` makes it, but what is not acked comes again after a second."""
    name = site.agent.name
    config = {**mailbox(Subjects(), name), "ack_wait": SECOND, "max_deliver": 20}
    async with opened_bus(site.world.server.url) as bus:
        body = {"stream_name": CMD, "config": config}
        await JetStream(bus).api(f"CONSUMER.CREATE.{CMD}.{name}", body)


async def asked(site: Site, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    async with opened_bus(site.world.server.url) as bus:
        return await JetStream(bus).api(verb, body)


def test_every_step_of_the_mailbox_is_here() -> None:
    own = {step for step in Step if step.startswith(("mailbox.", "report."))}
    assert own <= set(AFTER)


@pytest.mark.parametrize("step", AFTER)
async def test_after_a_death_at(own: Site, own_agent: AgentProcess, step: Step) -> None:
    await impatient_mailbox(own)
    name = own.name()
    await start(own_agent, **{KILL_AT_VARIABLE: str(step)})
    posted = await own.node.post("run", own.spec(name))
    code = await bounded(asyncio.to_thread(own_agent.wait), f"the agent's death at {step}")
    assert code == -9
    await kill(own_agent)
    await start(own_agent)
    async with posted:
        result = await posted.result(WAIT_S)
    assert AFTER[step].ok in (None, result.ok), result
    if not result.ok:
        assert result.error is not None
        assert result.error.code is ErrorCode.CANCELED
    repeat = await own.node.request("run", own.spec(name), command_id=posted.id)
    assert (repeat.replayed, repeat.value) == (True, result.value)
    await all_acked(own)
    await own.node.ping()
    await told_once(own, posted.id)
    await until_published(own)
    told = tuple(each for each in own.told.types(name) if each != "reattached")
    if AFTER[step].ok is None and not result.ok:
        assert told in UNDONE
    else:
        assert told == AFTER[step].told
    if told[:1] == ("created",):
        await own.node.delete(name, force=True)
        await own.told.event(name, "deleted")
    await asyncio.to_thread(own_agent.stop)


async def all_acked(site: Site) -> None:
    async def so() -> bool:
        told = await asked(site, f"CONSUMER.INFO.{CMD}.{site.agent.name}")
        return told["num_ack_pending"] == told["num_pending"] == 0

    await eventually(so, "nothing is left in the mailbox", within_s=WAIT_S)


async def told_once(site: Site, id_: str) -> None:
    """`accepted` too is told by the time of the result, or a moment later."""
    subjects = Subjects()
    scope = f"{subjects.prefix}.res.{site.agent.name}.{id_}.*"

    async def stored() -> dict[str, int] | None:
        found = await asked(site, f"STREAM.INFO.{RES}", {"subjects_filter": scope})
        counts: dict[str, int] = found["state"].get("subjects") or {}
        return counts if len(counts) == 2 else None

    counts = await eventually(stored, "accepted and result", within_s=WAIT_S)
    assert counts == {
        subjects.accepted(site.agent.name, id_): 1,
        subjects.result(site.agent.name, id_): 1,
    }


async def until_published(site: Site) -> None:
    """All that this life has told so far is in the stream, and has been heard."""
    info = await site.node.info()

    async def so() -> bool:
        through = (await site.node.info()).published_through or 0
        heard = {event.seq for event in site.told.events if event.node == site.agent.name}
        return through in heard and through >= (info.published_through or 0)

    await eventually(so, "all events heard", within_s=WAIT_S)


async def test_the_server_dies_between_the_post_and_the_result(
    own: Site, own_agent: AgentProcess
) -> None:
    await impatient_mailbox(own)
    await start(own_agent)
    name = own.name()
    async with await own.node.post("run", own.spec(name)) as posted:
        await posted.accepted(WAIT_S)
        following = asyncio.create_task(posted.result(60))
        own.world.server.kill()
        await asyncio.to_thread(own.world.server.start)
        assert (await bounded(following, "the result", 60)).ok
    await told_once(own, posted.id)
    await own.node.delete(name, force=True, unreachable_s=WAIT_S)
    await own.told.event(name, "deleted")
    await asyncio.to_thread(own_agent.stop)
