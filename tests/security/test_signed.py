"""Signed commands on a real node: the one that was signed is taken, once; no other is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from tests.integration.bounds import bounded
from tests.integration.raw import Raw
from tests.integration.world import Site, World, kill, open_site, start, stop
from tests.security.signing_kit import (
    Key,
    audited,
    in_seconds,
    make,
    make_key,
    rule_of,
    send,
    signed,
    signing,
    signing_node,
    trust,
)
from tests.support.agent import AgentProcess

from wharfside_agent.core.denials import MOST
from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_client import Node
from wharfside_protocol.commands import DeleteArgs, SignalArgs
from wharfside_protocol.envelope import Expect
from wharfside_protocol.errors import Denied, ErrorCode
from wharfside_protocol.event_facts import AuditRecord
from wharfside_protocol.events import Event

WAIT_S = 60.0
"""A letter that was fetched, and not acked, comes again after 30 s."""


@pytest.fixture(scope="module")
def ci(world: World) -> Key:
    return make_key(world.folder / "keys", "ci")


@pytest.fixture(scope="module")
def stranger(world: World) -> Key:
    return make_key(world.folder / "keys", "stranger")


@pytest.fixture(scope="module")
def trusting(world: World, ci: Key) -> Iterator[AgentProcess]:
    """The module's agent `n1`: what changes anything must be signed."""
    with world.running("n1", trust(ci)) as agent:
        yield agent


@pytest.fixture
async def node(world: World, trusting: AgentProcess, ci: Key) -> AsyncIterator[Node]:
    """`n1`, as `ci` drives it; what a test leaves is deleted."""
    async with signing_node(world.server.url, ci, "n1") as node:
        yield node
        for view in await node.list(all=True):
            await node.delete(view.container, force=True)


@pytest.fixture
async def site(world: World, trusting: AgentProcess) -> AsyncIterator[Site]:
    """A view of `n1` that signs nothing."""
    async with open_site(world, trusting) as site:
        await site.listed()
        yield site
        trusting.drain()


async def up(site: Site) -> None:
    await start(site.agent)
    await site.node.ping(unreachable_s=WAIT_S)


async def told_of(site: Site, id_: str) -> AuditRecord:
    """What the audit tells of a command."""

    def tells(event: Event) -> bool:
        return any(each.command == id_ for each in audited([event], site.agent.name))

    event = await site.told.until(tells, f"the audit of {id_}")
    return next(each for each in audited([event], site.agent.name) if each.command == id_)


async def test_a_signed_command_is_its_keys_actors(site: Site, node: Node, ci: Key) -> None:
    name = site.name()
    result = await node.request("run", site.spec(name), command_id=f"signed-{name}")
    assert result.ok
    record = await told_of(site, result.id)
    assert (record.actor, record.role, record.proven) == ("ci", "deployer", True)
    assert (record.key, record.op, record.container) == (ci.signer.key, "run", name)
    assert record.outcome == "ok"


async def test_policy_check_knows_what_must_be_signed(site: Site, node: Node) -> None:
    """By how the question itself was given: signed or not."""
    wanted = site.spec(site.name())
    told = await site.node.policy_check("run", wanted)
    assert told.error is not None
    assert (told.allowed, told.error.details["rule"]) == (False, "trust.require")
    assert (await site.node.policy_check("list", {})).allowed
    assert (await node.policy_check("run", wanted)).allowed


async def test_reads_need_no_signature_here_and_changes_do(site: Site, node: Node) -> None:
    name = site.name()
    await node.run(site.spec(name))
    assert [view.container for view in await site.node.list()] == [name]
    with pytest.raises(Denied, match="--sign-key"):
        await site.node.delete(name, force=True)
    with pytest.raises(Denied, match="--sign-key"):
        async with site.node.session("attach", {"container": name, "stdin": True}):
            pass
    assert (await site.node.inspect(name)).state == "running"


@pytest.mark.parametrize(
    "other",
    [
        {"op": "delete"},
        {"args": {"container": "other"}},
        {"args": {"container": "web", "signal": "KILL"}},
        {"deadline": "2026-12-31T00:00:00Z"},
        {"expect": None},
        {"id": "another-id"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_what_was_signed_is_no_cover_for_another(
    site: Site, raw: Raw, ci: Key, other: dict[str, Any]
) -> None:
    mine = make("n1", "signal", {"container": "web"}, expect=Expect(run=1))
    assert rule_of(await send(raw, replace(mine, **other), signed(ci, mine))) == "trust.signature"


async def test_what_was_signed_for_another_node_is_not_for_this_one(
    site: Site, raw: Raw, ci: Key
) -> None:
    elsewhere = make("n2", "undrain", {})
    here = replace(elsewhere, node="n1")
    assert rule_of(await send(raw, here, signed(ci, elsewhere))) == "trust.signature"


async def test_an_unknown_key_and_a_wrong_name(
    site: Site, raw: Raw, ci: Key, stranger: Key
) -> None:
    command = make("n1", "undrain", {})
    assert rule_of(await send(raw, command, signed(stranger, command))) == "trust.keys"
    boasting = replace(command, actor="root")
    assert rule_of(await send(raw, boasting, signed(ci, boasting))) == "trust.actor"
    endless = replace(command, deadline=None)
    assert rule_of(await send(raw, endless, signed(ci, endless))) == "trust.deadline"
    assert rule_of(await send(raw, command, None)) == "trust.require"


async def test_a_bad_signature_is_refused_also_for_what_needs_none(
    site: Site, raw: Raw, stranger: Key
) -> None:
    read = make("n1", "list", {})
    assert rule_of(await send(raw, read, signed(stranger, read))) == "trust.keys"


async def test_a_replay_is_answered_and_not_done_again(
    site: Site, node: Node, raw: Raw, ci: Key
) -> None:
    """Whoever has seen it pass sends the very same bytes, to whichever life of the agent."""
    name = site.name()
    await node.run(site.spec(name))
    kill_ = make("n1", "signal", SignalArgs(container=name, signal="KILL"))
    headers = signed(ci, kill_)
    assert (await send(raw, kill_, headers)).ok
    await site.told.exit(name)
    await node.start(name)
    await kill(site.agent)
    await up(site)
    again = await send(raw, kill_, headers)
    assert (again.ok, again.replayed) == (True, True)
    assert (await site.node.inspect(name)).state == "running"


async def test_after_its_deadline_it_is_nothing(site: Site, raw: Raw, ci: Key) -> None:
    late = make("n1", "undrain", {}, deadline=in_seconds(-1))
    result = await send(raw, late, signed(ci, late))
    assert result.error is not None
    assert result.error.code is ErrorCode.DEADLINE_EXCEEDED


async def test_a_new_store_takes_nothing_that_was_signed_before_it(
    own: Site, raw: Raw, ci: Key
) -> None:
    """Its node has forgotten what it did: it cannot know a replay by its id."""
    own.agent.write_config(trust(ci))
    await up(own)
    command = make(own.agent.name, "undrain", {})
    headers = signed(ci, command)
    assert (await send(raw, command, headers)).ok
    assert await stop(own.agent) == 0
    shutil.rmtree(own.agent.folder / "state")
    await up(own)
    assert rule_of(await send(raw, command, headers)) == "trust.signed-at"
    anew = make(own.agent.name, "undrain", {})
    assert (await send(raw, anew, signed(ci, anew))).ok
    assert await stop(own.agent) == 0


async def test_a_durable_command_is_its_actors_also_in_a_later_life(
    own: Site, ci: Key, stranger: Key
) -> None:
    """And one whose key is trusted no more is not begun; nor is one that nobody signed."""
    agent, url, name = own.agent, own.world.server.url, own.name()
    agent.write_config(trust(ci, stranger))
    await own.fleet.setup.add_node(agent.name)
    await start(agent)
    await kill(agent)
    async with signing(url, ci) as fleet, signing(url, stranger) as other:
        run = await fleet.node(agent.name).post("run", own.spec(name))
        undrain = await other.node(agent.name).post("undrain", {})
        await start(agent, **{KILL_AT_VARIABLE: Step.MAILBOX_ACKED})
        assert await bounded(asyncio.to_thread(agent.wait), "its death") == -9
        await kill(agent)
        agent.write_config(trust(ci))
        await up(own)
        async with run, undrain:
            assert (await run.result(WAIT_S)).ok
            assert rule_of(await undrain.result(WAIT_S)) == "trust.keys"
        record = await told_of(own, run.id)
        assert (record.actor, record.proven, record.key) == ("ci", True, ci.signer.key)
        delete = DeleteArgs(container=name, force=True)
        forged = await own.node.request("delete", delete, durable=True, timeout_s=WAIT_S)
        assert rule_of(forged) == "trust.require"
        assert (await fleet.node(agent.name).request("delete", delete)).ok
    assert await stop(agent) == 0


async def test_a_flood_of_denials_is_few_records_and_hides_nothing(
    site: Site, node: Node, raw: Raw
) -> None:
    name, flood = site.name(), 3000
    await node.run(site.spec(name))
    before = len(audited(site.told.events, "n1"))

    async def forge(worker: int) -> None:
        for number in range(worker, flood, 32):
            claimed = "eve" if number % 2 else f"bot-{number}"
            command = make("n1", "delete", DeleteArgs(container=name, force=True), actor=claimed)
            assert rule_of(await send(raw, command, None)) == "trust.require"

    forging = asyncio.gather(*(forge(worker) for worker in range(32)))
    killed = await node.request("signal", SignalArgs(container=name, signal="KILL"))
    assert (await site.told.exit(name)).exit_code == 137
    await bounded(forging, "the flood", 180)

    def denied() -> list[AuditRecord]:
        records = audited(site.told.events, "n1")[before:]
        return [each for each in records if each.outcome == "denied"]

    def all_are_counted(_event: Event) -> bool:
        return sum(each.count for each in denied()) >= flood

    await site.told.until(all_are_counted, "all are counted", within_s=90)
    assert sum(each.count for each in denied()) == flood
    assert "eve" in {each.actor for each in denied()}
    # of how many parts, one a second at most, is the machine's luck: each has MOST and one for all
    parts = [audited([event], "n1") for event in site.told.events]
    for part in parts:
        assert len([each for each in part if each.outcome == "denied"]) <= MOST + 1
    assert (await told_of(site, killed.id)).actor == "ci"
