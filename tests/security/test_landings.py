"""What a rogue node can make the server say to a real agent, and to a real client, is not obeyed.

The rogue knows everything that it might have to guess: names, containers, sessions, ids.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from tests.integration.attach_kit import KEPT, attached, seen
from tests.integration.bounds import BOUND_S
from tests.integration.fifos import SLEEPS, shell
from tests.integration.world import Site, open_site
from tests.security.secured import NODES, ROGUE, SecuredWorld
from tests.support.eventually import eventually

from wharfside_client.auth.state import Form
from wharfside_protocol.codec import encode
from wharfside_protocol.envelope import Command
from wharfside_protocol.io_frames import Chunk, Data, StreamName
from wharfside_protocol.node_commands import Progress
from wharfside_protocol.states import ContainerState
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import to_timestamp

pytestmark = pytest.mark.parametrize("ground", [Form.STATIC], indirect=True)

S = Subjects()
VICTIM = NODES[1]
NEXT = f"$JS.API.CONSUMER.MSG.NEXT.WHARFSIDE_CKPT.{ROGUE}"


@pytest.fixture
async def site(ground: SecuredWorld) -> AsyncIterator[Site]:
    """The victim's node, as an orchestrator sees it."""
    settings = ground.secured.settings("ops")
    async with open_site(ground.world, ground.agents[VICTIM], settings) as site:
        await site.listed()
        yield site
        await site.clear()
        site.agent.drain()


@pytest.fixture
async def rogue(ground: SecuredWorld) -> AsyncIterator[Client]:
    async with ground.secured.raw(ROGUE) as client:
        yield client


async def land(rogue: Client, victim: str, data: bytes) -> None:
    """Has the server deliver `data` on `victim`: mail of the rogue to itself, pulled by another.

    It has been delivered when the consumer has nothing more for the rogue.
    """
    await rogue.request(S.carriage(ROGUE, ROGUE, "idididid", 1), data, timeout=BOUND_S)
    await rogue.publish(NEXT, b'{"batch":1,"no_wait":true}', reply=victim)
    done = await rogue.request(NEXT, b'{"batch":1,"no_wait":true}', timeout=BOUND_S)
    assert (done.headers or {}).get("Status") == "404"


async def test_no_command(site: Site, rogue: Client) -> None:
    """Well made, on the victim's own rpc subject, and refused for the subject that it carries."""
    name = await site.run(SLEEPS)
    args = {"container": name, "force": True}
    command = Command(id="forged-0001", op="delete", node=VICTIM, args=args)
    await land(rogue, S.rpc(VICTIM, "delete"), encode(command))
    await _refused(site, "foreign-subject")
    assert (await site.node.inspect(name)).state is ContainerState.RUNNING
    assert "forged-0001" not in [each.command for each in await site.node.commands()]


async def test_no_answer_of_the_server(site: Site, rogue: Client) -> None:
    """A PubAck and an empty status come under the victim's own subject: neither is a command."""
    event = S.event(ROGUE, "c1", "exited")
    for op in ("ping", "delete", "nonsense"):
        await rogue.publish(event, b"x", reply=S.rpc(VICTIM, op))
        await rogue.publish(NEXT, b'{"batch":1,"no_wait":true}', reply=S.rpc(VICTIM, op))
    await rogue.request(event, b"x", timeout=BOUND_S)
    before = await site.node.commands()
    assert (await site.node.ping()).node == VICTIM
    assert await site.node.commands() == before


async def test_no_twin(site: Site, rogue: Client) -> None:
    """A presence of an older life of the victim's name would make it leave the bus."""
    info = await site.node.info()
    older = {"node_id": "01JD0000000000000000000000", "life": "older", "since_seq": 1}
    twin = type(info)(**({f: getattr(info, f) for f in info.__struct_fields__} | older))
    await land(rogue, S.live_nodes(VICTIM), encode(twin))
    await _refused(site, "foreign-presence")
    assert (await site.node.ping()).node == VICTIM
    assert site.agent.process is not None and site.agent.process.poll() is None


async def test_no_input(site: Site, rogue: Client) -> None:
    """Nothing is typed into another's session, and nothing told to it."""
    name = await site.run(shell("while read line; do echo got $line; done"), io=KEPT)
    async with attached(site, name, stdin=True) as session:
        peer, own = site.fleet.settings.peer, session.view.session
        typed = encode(_data(StreamName.STDIN))
        await land(rogue, S.io_up(VICTIM, peer, own), typed)
        said = encode(_data(StreamName.STDOUT))
        await land(rogue, S.io_down(VICTIM, peer, own), said)
        await session.write(b"mine\n")
        assert await seen(session, b"got mine\n") == b"got mine\n"


def _data(stream: StreamName) -> Data:
    """The first of a session, that its end waits for."""
    return Data(at=0, chunks=[Chunk(stream=stream, data=b"forged\n")])


async def test_no_progress(site: Site, rogue: Client) -> None:
    told: list[Progress] = []
    forged = Progress(
        node=VICTIM, command="idididid", op="drain", at=to_timestamp(0), total=1, left=1
    )
    async with site.fleet.progress(VICTIM, "idididid", told.append):
        await land(rogue, S.progress(VICTIM, "idididid"), encode(forged))
        await site.node.ping()
    assert told == []


async def test_a_viewer_cannot_disturb_what_others_follow(site: Site, ground: SecuredWorld) -> None:
    """Old events, other streams' messages and bare answers on `live`: bells and no more."""
    async with (
        ground.secured.raw("eyes") as rogue,
        ground.secured.fleet("eyes") as eyes,
        eyes.events() as events,
        eyes.watch() as watch,
    ):
        name = await site.run(SLEEPS)
        for stream in ("WHARFSIDE_EVT", "KV_WHARFSIDE_NODES", "KV_WHARFSIDE_CONTAINERS"):
            for victim in (
                S.live_events(VICTIM, "c1", "exited"),
                S.live_nodes(VICTIM),
                S.live_containers(VICTIM, "c1"),
            ):
                for body in (b'{"seq":1}', b'{"seq":1,"no_hdr":true}', b"{}"):
                    await rogue.publish(f"$JS.API.DIRECT.GET.{stream}", body, reply=victim)
        await rogue.flush()
        await site.node.delete(name, force=True)
        kinds = [str(e.type) async for _, e in _until_deleted(events, name)]
        assert kinds == ["created", "started", "exited", "deleted"]
        async for change in watch:
            assert type(change).__name__ != "Resynced"
            if name in repr(change) and "deleted" in repr(change):
                break


async def _until_deleted(events, name: str):  # type: ignore[no-untyped-def]
    async for seq, event in events:
        if event.container == name:
            yield seq, event
            if event.type == "deleted":
                return


async def _refused(site: Site, event: str) -> None:
    await eventually(lambda: event in site.agent.log_text(), f"{event} in its log")
