"""The escalations of one account (foreign `reply` subjects on every call that a role may make).

The server answers to whatever subject a client names, without asking whether it may publish there.
Accounts keep that at home: nothing of it leaves the sender's account, no stream is changed by it,
and what lands at another user of the same account is nothing that is obeyed (`test_landings`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.integration.bounds import BOUND_S, bounded
from tests.security.reach import reached
from tests.security.secured import ROGUE, USERS, Secured, one_account_server
from tests.support.eventually import eventually
from tests.support.requirements import need

from wharfside_client.auth.members import PROVISIONER
from wharfside_client.errors import ApiError
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import CMD, EVT, RES
from wharfside_protocol.codec import decode, encode
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import Invalid
from wharfside_protocol.rights import ACCOUNTS, rights
from wharfside_protocol.views import NodeInfo

P = "wharfside.v1"
KILL = encode(Command(id="forged-0001", op="delete", node="node-b", args={"container": "c1"}))
VICTIMS = (
    f"{P}.rpc.node-b.delete", f"{P}.cmd.node-b.delete", f"{P}.evt.node-b.c1.exited",
    f"{P}.res.node-b.idididid.result", f"{P}.live.evt.node-b.c1.exited", f"{P}.kv.nodes.node-b",
    f"{P}.live.res.node-b.idididid.result", f"{P}.kv.containers.node-b.c1",
    "$KV.WHARFSIDE_NODES.node-b", "$KV.WHARFSIDE_CONTAINERS.node-b.c1",
    f"{P}.io.node-b.ops.s1.down", f"{P}.io.node-b.eyes.s1.down", f"{P}.io.node-b.ops.s1.up",
    f"{P}.progress.node-b.idididid", f"{P}.log.node-b.c1.init",
    f"{P}.ckpt.node-b.node-a.idididid.1", "_INBOX_node-b.x", "_INBOX.ops.x", "_INBOX.other.x",
    "_INBOX.eyes.x", "_INBOX.provisioner.x", "$SRV.PING.wharfside-agent", "$SYS.REQ.SERVER.PING",
    "$JS.API.STREAM.DELETE.WHARFSIDE_EVT", "$JS.API.STREAM.PURGE.WHARFSIDE_CMD",
    "$JS.API.CONSUMER.DELETE.WHARFSIDE_CMD.node-b", "$JS.ACK.WHARFSIDE_CMD.node-b.1.1.1.1.1",
    "$JS.API.CONSUMER.MSG.NEXT.WHARFSIDE_CMD.node-b", "$JS.ACK.WHARFSIDE_EVT.other.1.1.1.1.1",
)  # fmt: skip
"""What an attacker would have the server say something on."""

STORED = {
    EVT: f"{P}.evt.rogue.c1.exited",
    RES: f"{P}.res.rogue.idididid.result",
    "WHARFSIDE_LOGS": f"{P}.log.rogue.c1.init",
    "KV_WHARFSIDE_NODES": "$KV.WHARFSIDE_NODES.rogue",
    "KV_WHARFSIDE_CONTAINERS": "$KV.WHARFSIDE_CONTAINERS.rogue.c1",
}
"""What the rogue has stored in each stream, to be brought to others as a command of its own."""

NEXT = (b'{"batch":1,"no_wait":true}', b'{"batch":100,"expires":20000000}')
GET = (
    b'{"seq":1}', b'{"seq":1,"no_hdr":true}', b'{"seq":1,"batch":9}', b"{}", b"not JSON",
    b'{"last_by_subj":"wharfside.v1.evt.rogue.>","no_hdr":true}',
    b'{"last_by_subj":"$KV.WHARFSIDE_NODES.rogue","no_hdr":true}',
)  # fmt: skip


class Landed(NamedTuple):
    who: str
    subject: str
    data: bytes


@dataclass
class Everybody:
    """All users but one, each listening to all that it may."""

    clients: dict[str, Client]
    landed: list[Landed] = field(default_factory=list)

    def at(self, who: str) -> list[Landed]:
        return [each for each in self.landed if each.who == who]


@asynccontextmanager
async def everybody_but(secured: Secured, sender: str) -> AsyncIterator[Everybody]:
    async with AsyncExitStack() as stack:
        everybody = Everybody({})
        for name in USERS.keys() - {sender}:
            client = await stack.enter_async_context(secured.raw(name))

            async def hear(message: Msg, name: str = name) -> None:
                if message.subject.startswith("_INBOX") and message.subject not in VICTIMS:
                    return  # an answer to one of ours
                everybody.landed.append(Landed(name, message.subject, message.data))

            for subject in rights(secured.role(name), name).subscribe:
                await client.subscribe(subject, cb=hear)
            await client.flush()
            everybody.clients[name] = client
        yield everybody


def calls(secured: Secured, name: str) -> Iterator[tuple[str, bytes]]:
    """Something on every subject that the user may publish to, with bodies that bring an answer."""
    for right in rights(secured.role(name), name).publish:
        if right == "_R_.>":
            continue
        if right.startswith("$JS.API.DIRECT.GET"):
            stream = right.split(".")[4]
            if right.endswith(">"):
                yield f"{right[:-1]}{STORED[stream]}", b""
            else:
                yield from ((right, body) for body in GET)
        elif ".MSG.NEXT." in right:
            yield from ((right, body) for body in NEXT)
        else:
            yield right.replace("*", "c1").replace(">", "PING.x"), KILL


async def fill(secured: Secured) -> None:
    """The rogue stores commands to others wherever it may; its mailbox has some, too."""
    async with secured.raw(ROGUE) as client:
        for subject in (
            *STORED.values(),
            *(f"{P}.ckpt.rogue.rogue.idididid.{n}" for n in range(99)),
        ):
            await client.request(subject, KILL, timeout=BOUND_S)
    async with secured.raw("ops") as client:
        for node in (ROGUE, "node-b"):
            for _ in range(3):
                await client.request(f"{P}.cmd.{node}.ping", b"mail", timeout=BOUND_S)


async def kept(secured: Secured) -> dict[str, Any]:
    """What is node-b's, and the other orchestrator's, in the streams."""
    async with secured.fleet(PROVISIONER) as fleet:
        js = JetStream(fleet.setup._bus)
        found: dict[str, Any] = {}
        for stream in (CMD, EVT, RES, "KV_WHARFSIDE_NODES", "KV_WHARFSIDE_CONTAINERS"):
            state = (await js.api(f"STREAM.INFO.{stream}", {"subjects_filter": ">"}))["state"]
            subjects = state.get("subjects") or {}
            found[stream] = {s: n for s, n in subjects.items() if "node-b" in s}
        for stream, consumer in ((CMD, "node-b"), ("WHARFSIDE_CKPT", "node-b"), (EVT, "other")):
            info = await js.api(f"CONSUMER.INFO.{stream}.{consumer}")
            found[f"{stream} of {consumer}"] = (info["delivered"], info["ack_floor"])
        return found


async def try_all(secured: Secured, sender: str) -> Everybody:
    """Each call with each foreign reply; what came of it to anybody else, but what was sent."""
    async with everybody_but(secured, sender) as everybody, secured.raw(sender) as client:
        sent = []
        for subject, body in calls(secured, sender):
            for victim in VICTIMS:
                await client.publish(subject, body, reply=victim)
                sent.append((subject, body))
            await client.flush()
        await bounded(_quiet(secured, everybody, client), "all answers")
        role = secured.role(sender)
        plain = {
            (account, at, body)
            for subject, body in sent
            for account, at in reached(role, sender, subject)
        }
        everybody.landed = [
            each
            for each in everybody.landed
            if (ACCOUNTS[USERS[each.who]], each.subject, each.data) not in plain
        ]
        return everybody


async def _quiet(secured: Secured, everybody: Everybody, client: Client) -> None:
    """A last answer of JetStream comes after all that it was asked before."""
    await client.flush()
    async with secured.fleet(PROVISIONER) as fleet:
        js = JetStream(fleet.setup._bus)
        for _ in range(2):
            for stream in (CMD, EVT, RES):
                await js.api(f"STREAM.INFO.{stream}")
            for each in everybody.clients.values():
                await each.flush()


@pytest.mark.parametrize("sender", [ROGUE, "ops", "eyes"])
async def test_nothing_leaves_the_account_and_no_stream_changes(
    secured: Secured, sender: str
) -> None:
    await fill(secured)
    before = await kept(secured)
    everybody = await try_all(secured, sender)
    home = ACCOUNTS[USERS[sender]]
    assert [each for each in everybody.landed if ACCOUNTS[USERS[each.who]] is not home] == []
    assert await kept(secured) == before


@pytest.fixture
def together(tmp_path: Path) -> Iterator[Secured]:
    """All users in one account."""
    need("nats-server")
    with one_account_server(tmp_path) as secured:
        yield secured


async def test_in_one_account_the_same_tricks_would_work(together: Secured) -> None:
    """What these tests look with would see it; and why there are four accounts."""
    await fill(together)
    await kept(together)
    with suppress(ApiError):  # the stream may be gone before all have tried
        await try_all(together, ROGUE)
    await eventually(lambda: lost(together), "a node has deleted the stream of events")


async def lost(secured: Secured) -> bool:
    try:
        await kept(secured)
    except ApiError as error:
        return "stream not found" in str(error)
    return False


async def test_what_lands_at_another_node_is_no_command_of_its_own(secured: Secured) -> None:
    """A PubAck, a status, or the rogue's own mail under its own subject; the last is a command."""
    await fill(secured)
    landed = (await try_all(secured, ROGUE)).at("node-b")
    assert landed, "the tricks bring something: else this test shows nothing"
    for each in landed:
        if ".rogue." in each.subject:
            continue
        assert each.data == b"" or "stream" in json.loads(each.data), each
        for record in (Command, NodeInfo):
            with pytest.raises(Invalid):
                decode(each.data, record)
    assert KILL in {each.data for each in landed}


@pytest.mark.parametrize("sender", [ROGUE, "ops", "eyes"])
async def test_foreign_subjects_are_refused(secured: Secured, sender: str) -> None:
    """Plainly, without any trick: to publish on what is another's, and to listen to it."""
    foreign = [v for v in VICTIMS if not reached(secured.role(sender), sender, v)]
    foreign = [v for v in foreign if f"INBOX.{sender}." not in v]
    async with everybody_but(secured, sender) as everybody, secured.raw(sender) as client:
        secured.denied.clear()
        for subject in foreign:
            await client.publish(subject, b"forged")
        await bounded(_quiet(secured, everybody, client), "all refusals")
        refused = {each.rpartition('"')[0].rpartition('"')[2] for each in secured.denied}
        assert refused == {subject.lower() for subject in foreign}
        assert [each for each in everybody.landed if each.data == b"forged"] == []
