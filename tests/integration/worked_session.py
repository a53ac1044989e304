"""A container's whole life as a foreign client sees it, message by message, on a real node.

docs/protocol.md shows the bytes that `python -m tests.integration.worked_session` recorded in
docs/protocol/session.json; a test plays it again and compares.
"""

from __future__ import annotations

import asyncio
import base64
import json
import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.integration.bounds import bounded
from tests.integration.world import World, make_world, start, stop
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_client import Wharfside, connect
from wharfside_protocol.codec import pack, unpack
from wharfside_protocol.digest import command_digest

NODE, PEER, CONTAINER, SESSION = "n1", "ops", "hello", "s1"
ROOTFS = "/var/lib/wharfside/bundles/busybox"
RECORD = Path(__file__).parents[2] / "docs" / "protocol" / "session.json"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LINE, COST, WINDOW = b"hello\n", 64, 65536

P = "wharfside.v1"
EVENTS = f"{P}.evt.{NODE}.{CONTAINER}"
IO = f"{P}.io.{NODE}.{PEER}.{SESSION}"
GET = "$JS.API.DIRECT.GET"

Plain = dict[str, Any]


def in_json(value: Any) -> Any:
    """The JSON form of plain values, as the vectors have it: bytes in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: in_json(item) for key, item in value.items()}
    return [in_json(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Told:
    """`way`: `sent` by the client, or `got`. `payload`: msgpack, or the JSON of NATS's own API."""

    name: str
    way: str
    subject: str
    payload: bytes
    reply: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_msgpack(self) -> bool:
        return self.payload[:1] not in (b"", b"{")


@dataclass
class Player:
    """Sends and takes; `told` is all of it, in order. Each request has an inbox of its own."""

    client: Client
    told: list[Told] = field(default_factory=list)
    came: asyncio.Queue[Msg] = field(default_factory=asyncio.Queue)
    aside: list[Msg] = field(default_factory=list)

    async def listen(self, subject: str) -> None:
        await self.client.subscribe(subject, cb=self.came.put)
        await self.client.flush()

    async def send(
        self, name: str, subject: str, what: Plain | bytes, headers: Mapping[str, str] | None = None
    ) -> str:
        """The inbox for its answer."""
        payload = what if isinstance(what, bytes) else pack(what)
        inbox = f"_INBOX.{PEER}.{len(self.told) + 1}" if not subject.endswith(".up") else ""
        self.told.append(Told(name, "sent", subject, payload, inbox, headers or {}))
        await self.client.publish(subject, payload, inbox, dict(headers) if headers else None)
        return inbox

    async def take(self, name: str, wanted: Callable[[Msg], bool]) -> Msg:
        """The first message that is wanted, also where others have come before it."""
        msg = next(filter(wanted, self.aside), None)
        if msg is not None:
            self.aside.remove(msg)
        while msg is None:
            came = await bounded(self.came.get(), name)
            if wanted(came):
                msg = came
            else:
                self.aside.append(came)
        # nats-py names the status's text by a member of an enum
        headers = {
            str(getattr(key, "value", key)): text for key, text in (msg.headers or {}).items()
        }
        self.told.append(Told(name, "got", msg.subject, msg.data, "", headers))
        return msg

    async def ask(self, name: str, subject: str, what: Plain | bytes, **more: Any) -> Msg:
        inbox = await self.send(name, subject, what, **more)
        return await self.take(f"{name}: answer", lambda msg: msg.subject == inbox)

    async def call(self, op: str, args: Plain, **more: Any) -> None:
        command = {"v": 1, "id": f"guide-{op}-1", "op": op, "node": NODE, "args": args}
        await self.ask(op, f"{P}.rpc.{NODE}.{op}", command, **more)

    async def frame(self, name: str, what: Plain) -> None:
        await self.send(name, f"{IO}.up", what)

    async def down(self, name: str, kind: str) -> Plain:
        """The next frame of a kind; what else comes by then is not part of the example."""
        msg = await self.take(
            name, lambda m: m.subject == f"{IO}.down" and unpack(m.data)["frame"] == kind
        )
        return unpack(msg.data)

    async def bell(self, name: str, subject: str) -> None:
        """What was stored, as it is republished."""
        live = subject.replace(f"{P}.", f"{P}.live.", 1)
        await self.take(f"{name}: bell", lambda msg: msg.subject == live)


async def play(url: str, rootfs: str) -> list[Told]:
    client = await nats.connect(url, inbox_prefix=f"_INBOX.{PEER}")
    try:
        player = Player(client)
        await player.listen(f"_INBOX.{PEER}.>")
        await discovery(player)
        await life(player, rootfs)
        await attach(player)
        await end(player)
        return player.told
    finally:
        await client.close()


async def discovery(player: Player) -> None:
    await player.ask("ping", "$SRV.PING.wharfside-agent", b"")
    await player.ask("presence", f"{GET}.KV_WHARFSIDE_NODES.$KV.WHARFSIDE_NODES.{NODE}", b"")


def wanted(rootfs: str) -> Plain:
    program = ["sh", "-c", 'read line; echo "$line"; exit 3']
    return {
        "container": CONTAINER,
        "source": {"rootfs": rootfs},
        "process": {"args": program},
        "io": {"stdin": True},
    }


async def life(player: Player, rootfs: str) -> None:
    await player.listen(f"{P}.live.evt.{NODE}.{CONTAINER}.>")
    await player.call("run", wanted(rootfs), headers={"traceparent": TRACE})
    await player.bell("started", f"{EVENTS}.started")
    page = {"batch": 10, "seq": 1, "next_by_subj": f"{EVENTS}.>"}
    inbox = await player.send("page", f"{GET}.WHARFSIDE_EVT", json.dumps(page).encode())
    for name in ("page: created", "page: started", "page: end"):
        await player.take(name, lambda msg: msg.subject == inbox)


async def attach(player: Player) -> None:
    await player.listen(f"{IO}.down")
    opening = {"peer": PEER, "session": SESSION, "window": WINDOW}
    await player.call("attach", {"container": CONTAINER, "stdin": True, "open": opening})
    chunk = {"stream": "stdin", "data": LINE}
    await player.frame("input", {"frame": "data", "at": 0, "chunks": [chunk]})
    await player.down("input: ack", "ack")
    output = await player.down("output", "data")
    taken = len(output["chunks"][0]["data"]) + COST
    await player.frame("output: ack", {"frame": "ack", "at": taken, "window": WINDOW})
    await player.down("exit", "exit")
    ended = await player.down("eof", "eof")
    await player.frame("eof: ack", {"frame": "ack", "at": ended["at"] + COST, "window": WINDOW})


async def end(player: Player) -> None:
    await player.bell("exited", f"{EVENTS}.exited")
    asked = json.dumps({"last_by_subj": f"{EVENTS}.exited"}).encode()
    await player.ask("exited", f"{GET}.WHARFSIDE_EVT", asked)
    id = "guide-delete-1"
    command = {"v": 1, "id": id, "op": "delete", "node": NODE, "args": {"container": CONTAINER}}
    await player.listen(f"{P}.live.res.{NODE}.{id}.*")
    told = {"Nats-Msg-Id": f"{NODE}.{id}"}
    await player.ask("delete", f"{P}.cmd.{NODE}.delete", command, headers=told)
    for what in ("accepted", "result"):
        subject = f"{P}.res.{NODE}.{id}.{what}"
        await player.bell(what, subject)
        await player.ask(what, f"{GET}.WHARFSIDE_RES.{subject}", b"")


def moved(value: Any, places: Mapping[str, str]) -> Any:
    """Plain values with other paths in them."""
    if isinstance(value, dict):
        return {key: moved(item, places) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item, places) for item in value]
    for here, there in places.items():
        value = value.replace(here, there) if isinstance(value, str) else value
    return value


async def on_a_node(world: World) -> list[Told]:
    """All of it on an agent of its own, as an installed node would have told it."""
    async with connect(world.url) as fleet:
        await fleet.setup.add_node(NODE)
        with world.agent(NODE) as agent:
            await start(agent)
            await eventually(partial(serves, fleet), "its presence says that it serves its mailbox")
            told = await play(world.url, str(world.rootfs))
            assert await stop(agent) == 0
    elsewhere = moves(world, agent)
    return [
        replace(each, payload=pack(moved(unpack(each.payload), elsewhere)))
        if each.is_msgpack
        else each
        for each in told
    ]


async def serves(fleet: Wharfside) -> bool:
    return [status.info.mailbox for status in await fleet.nodes()] == ["ok"]


def moves(world: World, agent: AgentProcess) -> dict[str, str]:
    """What tells of this machine, and what an installed node would have in its place."""
    digest = partial(command_digest, "run")
    return {
        digest(wanted(str(world.rootfs))): digest(wanted(ROOTFS)),
        str(world.rootfs): ROOTFS,
        str(agent.folder / "run"): f"/run/wharfside/{NODE}",
        agent.cgroup: "/wharfside",
        world.url.removeprefix("nats://"): "nats1.example:4222",
        platform.release(): "6.1.0-37-amd64",
    }


def written(told: Told) -> Plain:
    """As docs/protocol/session.json has it."""
    plain: Plain = {"name": told.name, "way": told.way, "subject": told.subject}
    plain |= {"reply": told.reply} if told.reply else {}
    plain |= {"headers": dict(told.headers)}
    if not told.is_msgpack:
        return plain | {"text": told.payload.decode()}
    return plain | {"json": in_json(unpack(told.payload)), "msgpack": told.payload.hex()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, make_world(Path(folder)) as world:
        told = asyncio.run(on_a_node(world))
    RECORD.write_text(json.dumps([written(each) for each in told], indent=1) + "\n")


if __name__ == "__main__":
    main()
