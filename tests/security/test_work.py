"""Each role does all of its work with its own rights alone, through our client and agent.

Afterwards the server must have refused nobody anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.integration.attach_kit import KEPT, attached, execed, rest, seen
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.counting import COUNTS
from tests.integration.fifos import shell
from tests.integration.raw import new_id
from tests.integration.two_nodes import Pair
from tests.integration.world import Site, command, open_site
from tests.security.secured import NODES, SecuredWorld
from tests.support.eventually import eventually
from tests.support.requirements import requires

from wharfside_client import Wharfside
from wharfside_client.assets import Outcome
from wharfside_client.auth.members import PROVISIONER
from wharfside_client.direct import read_pages
from wharfside_client.jetstream import JetStream
from wharfside_client.localfiles import LocalTree
from wharfside_client.moving import move
from wharfside_protocol.assets import LOGS, container_key
from wharfside_protocol.codec import decode
from wharfside_protocol.errors import DeadlineExceeded
from wharfside_protocol.events import Event
from wharfside_protocol.io_frames import Chunk
from wharfside_protocol.node_commands import Progress
from wharfside_protocol.shipped import ShippedOutput
from wharfside_protocol.specs import Io, Limits
from wharfside_protocol.states import ContainerState

SAYS = shell("echo one; echo two; sleep 1000")


@pytest.fixture(scope="module", autouse=True)
def nothing_refused(ground: SecuredWorld) -> Iterator[None]:
    yield
    refused = [line for line in ground.secured.server.log.splitlines() if "iolation" in line]
    assert refused == []


@pytest.fixture
async def pair(ground: SecuredWorld) -> AsyncIterator[Pair]:
    """Both nodes as an orchestrator sees them."""
    async with AsyncExitStack() as stack:
        settings = ground.secured.settings("ops")
        sites = [
            await stack.enter_async_context(open_site(ground.world, ground.agents[node], settings))
            for node in NODES
        ]
        for site in sites:
            await site.listed()
        yield Pair(*sites)
        for site in sites:
            await site.clear()
            site.agent.drain()


@pytest.fixture
def site(pair: Pair) -> Site:
    return pair.a


@pytest.fixture
async def eyes(ground: SecuredWorld) -> AsyncIterator[Wharfside]:
    async with ground.secured.fleet("eyes") as fleet:
        yield fleet


@pytest.fixture
async def provisioner(ground: SecuredWorld) -> AsyncIterator[Wharfside]:
    async with ground.secured.fleet(PROVISIONER) as fleet:
        yield fleet


async def test_an_orchestrator_runs_and_ends_containers(site: Site) -> None:
    name = await site.run(SAYS)
    node = site.node
    said = await node.exec(name, command("echo from the exec; exit 3"))
    assert said.output is not None and said.output.stdout == b"from the exec\n"
    await node.pause(name)
    assert (await node.inspect(name)).state is ContainerState.PAUSED
    await node.resume(name)
    await node.update(name, Limits(pids=50))
    assert (await node.stats(name)).stats is not None
    assert [each.container for each in (await node.usage([name])).containers] == [name]
    assert "init" in [each.process for each in await node.list_processes(name)]
    await node.signal(name, "USR1")
    assert (await node.stop(name, grace_s=0)).exit is not None
    assert (await node.wait(name)).exit is not None
    await site.told.exit(name)
    await node.delete(name)
    await site.told.event(name, "deleted")


async def test_an_orchestrator_s_sessions(site: Site, tmp_path: Path) -> None:
    name = await site.run(shell("while read line; do echo got $line; done"), io=KEPT)
    async with attached(site, name, stdin=True) as session:
        await session.write(b"hello\n")
        await seen(session, b"got hello\n")
    async with execed(site, name, "/bin/sh", "-c", "echo hi; exit 4") as session:
        output, ended = await rest(session)
        assert (output, ended.exit_code) == (b"hi\n", 4)
    async with site.node.logs(name, follow=True) as logs:
        item = await bounded(anext(logs), "a line of the log")
        assert isinstance(item, Chunk) and item.data == b"got hello\n"
    (tmp_path / "f").write_text("data")
    await site.node.copy_to(name, "/tmp", LocalTree(tmp_path / "f", "f"))
    await site.node.copy_from(name, "/tmp/f", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "data"


async def test_an_orchestrator_s_durable_commands(site: Site) -> None:
    await _has_mailbox(site)
    name, id_ = await site.run(SAYS), new_id()
    async with site.node.posted(id_) as posted:
        done = site.node.pause(name, command_id=id_, durable=True, timeout_s=BOUND_S)
        await bounded(done, "a durable pause")
        assert (await posted.accepted(BOUND_S)).op == "pause"
    state = await site.node.posted(id_).state()
    assert state is not None and state.state == "done"
    assert id_ in [each.command for each in await site.node.commands()]
    assert (await site.node.result(id_)).state == "done"
    assert not (await site.node.cancel(id_)).canceled


async def test_an_orchestrator_drains_and_resyncs_a_node(site: Site, ground: SecuredWorld) -> None:
    await site.run(SAYS, stop_signal="KILL")
    id_, told = new_id(), list[Progress]()
    async with site.fleet.progress(site.node.name, id_, told.append):
        await site.node.drain(within_s=BOUND_S, command_id=id_)
    assert told and told[-1].command == id_
    await site.node.undrain()
    async with ground.secured.raw(site.node.name) as client:
        await client.request(container_key(site.node.name, "stale"), b"", timeout=BOUND_S)
    assert (await site.fleet.resync(site.node.name)).removed == ["stale"]


async def test_an_orchestrator_follows_events_and_states(site: Site) -> None:
    async with site.fleet.watch() as watch:
        name = await site.run(SAYS)

        async def changed() -> None:
            async for change in watch:
                if name in repr(change):
                    return

        await bounded(changed(), "a change of it")
    await site.told.event(name, "started")
    stored = [event async for _, event in site.fleet.history(0) if event.container == name]
    assert [str(event.type) for event in stored] == ["created", "started"]

    async def projected() -> bool:
        return any(each.container == name for each in await site.fleet.containers())

    await eventually(projected, "its projection")


async def test_an_orchestrator_reads_shipped_output(site: Site, ground: SecuredWorld) -> None:
    name = await site.run(shell("echo shipped; sleep 1000"), io=Io(ship=True))
    subject = site.fleet.settings.subjects.log(site.node.name, name, "init")

    async def there() -> bool:
        pages = read_pages(site.fleet._bus, LOGS, subject)
        pieces = [decode(each.data, ShippedOutput) async for page in pages for each in page]
        return b"shipped\n" in b"".join(chunk.data for each in pieces for chunk in each.chunks)

    await eventually(there, "its output in the stream", within_s=BOUND_S)


async def test_an_orchestrator_pulls_events_from_its_own_consumer(
    site: Site, ground: SecuredWorld
) -> None:
    """As one in another language would: pull, ack, and pull on behind what was acked."""
    name = await site.run(SAYS)
    await site.told.event(name, "started")
    async with ground.secured.raw("other") as client:
        pulling = await client.jetstream().pull_subscribe_bind("other", "WHARFSIDE_EVT")
        seen: list[Event] = []

        async def until(kind: str) -> None:
            while not any(e.container == name and e.type == kind for e in seen):
                for message in await pulling.fetch(50, timeout=BOUND_S):
                    seen.append(decode(message.data, Event))
                    await message.ack_sync(timeout=BOUND_S)

        await bounded(until("started"), "its start")
        await site.node.delete(name, force=True)
        await bounded(until("deleted"), "its end")
        ids = [event.event_id for event in seen]
        assert len(ids) == len(set(ids))


@requires("criu")
async def test_an_orchestrator_s_checkpoints(site: Site, tmp_path: Path) -> None:
    name = await site.run(COUNTS, checkpointable=True)
    await site.node.checkpoint(name, "one", exit=True)
    assert [each.checkpoint for each in (await site.node.checkpoints(name)).checkpoints] == ["one"]
    await site.node.save_checkpoint(name, "one", tmp_path / "one.tar")
    await site.node.restore(name, "one")
    await site.node.delete_checkpoint(name, "one")
    await site.node.load_checkpoint(tmp_path / "one.tar")


@requires("criu")
async def test_a_container_moves_between_nodes(pair: Pair) -> None:
    name = await pair.a.run(COUNTS, checkpointable=True)
    moved = await bounded(move(pair.a.node, name, pair.b.node), "it moves", within_s=60)
    assert moved.target == pair.b.node.name
    assert (await pair.b.node.inspect(name)).state is ContainerState.RUNNING
    assert (await pair.b.node.migrations()).migrations


async def test_a_viewer_sees_everything(site: Site, eyes: Wharfside) -> None:
    name = await site.run(SAYS)
    await site.told.event(name, "started")
    node = eyes.node(site.node.name)
    assert (await node.ping()).node == site.node.name
    assert (await node.info()).node == site.node.name
    assert name in [each.container for each in await node.list()]
    assert (await node.inspect(name)).state is ContainerState.RUNNING
    assert await node.list_processes(name)
    assert (await node.stats(name)).stats is not None
    assert (await node.usage()).containers
    with pytest.raises(DeadlineExceeded):
        await node.wait(name, timeout_s=0)
    assert (await node.migrations()).migrations is not None
    commands = await node.commands()
    assert (await node.result(commands[0].command)).state == "done"
    assert (await node.checkpoints(name)).checkpoints == []
    assert {status.node for status in await eyes.nodes()} == set(NODES)
    assert [e async for _, e in eyes.history(0) if e.container == name]


async def test_a_viewer_follows_logs_events_and_states(site: Site, eyes: Wharfside) -> None:
    async with eyes.events() as events, eyes.watch() as watch:
        name = await site.run(SAYS)

        async def told() -> None:
            async for _, event in events:
                if event.container == name and event.type == "started":
                    return

        async def changed() -> None:
            async for change in watch:
                if name in repr(change):
                    return

        await bounded(asyncio.gather(told(), changed()), "both tell of it")
    async with eyes.node(site.node.name).logs(name, follow=True) as logs:
        item = await bounded(anext(logs), "its first line")
        assert isinstance(item, Chunk) and item.data.startswith(b"one\n")


async def test_the_provisioner_s_work(provisioner: Wharfside, site: Site) -> None:
    setup = provisioner.setup
    reports = await setup.bootstrap() + await setup.repair()
    reports.append(await setup.add_orchestrator("ops"))
    assert {(each.outcome, *each.drift) for each in reports} == {(Outcome.UNCHANGED,)}
    assert {each.name for each in reports} >= set(NODES)
    added = [await setup.add_node("gone"), await setup.add_carriage("gone")]
    assert {each.outcome for each in added} == {Outcome.CREATED}
    removed = await setup.remove_node("gone")
    assert [each.outcome for each in removed] == [Outcome.REMOVED, Outcome.REMOVED, Outcome.ABSENT]
    assert (await setup.add_orchestrator("guest")).outcome is Outcome.CREATED
    assert (await setup.remove_orchestrator("guest")).outcome is Outcome.REMOVED


async def test_a_node_that_was_removed_is_not_repaired(provisioner: Wharfside) -> None:
    """Its key is still there, as deleted: to know that, the provisioner reads the bucket."""
    js = provisioner.setup._js
    await provisioner.setup.add_node("left")
    await js.publish("$KV.WHARFSIDE_NODES.left", b"\x80")
    outcomes = [each.outcome for each in await provisioner.setup.remove_node("left")]
    assert outcomes == [Outcome.REMOVED, Outcome.ABSENT, Outcome.REMOVED]
    assert "left" not in {each.name for each in await provisioner.setup.repair()}


async def test_the_provisioner_looks_after_dead_letters(provisioner: Wharfside, site: Site) -> None:
    await _has_mailbox(site)
    subject = site.fleet.settings.subjects.command(site.node.name, "pause")
    seq = await JetStream(site.fleet._bus).publish(subject, b"no command at all")

    async def listed() -> bool:
        return seq in [each.seq for each in await provisioner.dead_letters.list(site.node.name)]

    await eventually(listed, "it is a dead letter", within_s=BOUND_S)
    assert (await provisioner.dead_letters.resend(seq)).startswith("resent-")


@pytest.mark.parametrize("name", ["ops", "eyes"])
async def test_agents_are_found_as_micro_services(ground: SecuredWorld, name: str) -> None:
    async with ground.secured.raw(name) as client:
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox)
        for verb in ("PING", "INFO", "STATS"):
            await client.publish(f"$SRV.{verb}.wharfside-agent", b"", reply=inbox)
            found = [await answers.next_msg(timeout=BOUND_S) for _ in NODES]
            assert all(b"wharfside-agent" in each.data for each in found)


async def _has_mailbox(site: Site) -> None:
    async def ok() -> bool:
        return (await site.node.info()).mailbox == "ok"

    await eventually(ok, "its mailbox", within_s=BOUND_S)
