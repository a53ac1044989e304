"""I/O sessions on a real server: the agent's bus and sessions in this process, the client beside.

What a session carries is made by the test, in place of a container; it is opened with `exec`,
whose argument `exec` names what to carry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.integration.bounds import bounded
from tests.integration.bus_kit import SHORT

from wharfside_agent.bus.connection import NatsBus
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.bus.service import RpcService
from wharfside_agent.errors import told
from wharfside_agent.ports.bus import Request
from wharfside_agent.ports.io import Carried, Missing, Over, Piece, Sink, Source
from wharfside_agent.services.streams.session import Session as NodeSession
from wharfside_agent.services.streams.sessions import Sessions
from wharfside_agent.services.tasks import Tasks
from wharfside_client import Wharfside
from wharfside_client.session import Session
from wharfside_protocol.codec import convert, decode, encode, to_plain
from wharfside_protocol.commands import ExecArgs, ExecValue
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.errors import Invalid
from wharfside_protocol.exits import ExitReason, ExitStatus, StatusSource
from wharfside_protocol.io_frames import Chunk, Position, StreamName
from wharfside_protocol.specs import ProcessSpec
from wharfside_protocol.subjects import Subjects

INCARNATION = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
EXIT = ExitStatus(
    exit_code=3,
    reason=ExitReason.SELF,
    status_source=StatusSource.WAIT,
    status_known=True,
    exited_at="2026-01-31T09:00:00Z",
)
OVER = Over("init", INCARNATION, 1, EXIT)

Given = Piece | Missing | Over | None


def piece(data: bytes, *, behind: int | None = None) -> Piece:
    position = None if behind is None else Position(run=1, offset=behind)
    return Piece([Chunk(stream=StreamName.STDOUT, data=data)], position)


class Pipe:
    """A source and a sink: what is written comes out again; over `limit` bytes a write waits."""

    def __init__(self, limit: int = 64 * 1024) -> None:
        self.closed = asyncio.Event()
        self.calls: list[tuple[Any, ...]] = []
        self._limit = limit
        self.kept = bytearray()
        self._ended = False
        self._changed = asyncio.Condition()

    async def read(self, most: int) -> Given:
        async with self._changed:
            await self._changed.wait_for(lambda: self.kept or self._ended)
            data = bytes(self.kept[:most])
            del self.kept[:most]
            self._changed.notify_all()
            return piece(data) if data else None

    async def write(self, data: bytes) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.kept) < self._limit)
            self.kept += data
            self._changed.notify_all()

    async def eof(self) -> None:
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def resize(self, rows: int, columns: int) -> None:
        self.calls.append(("resize", rows, columns))

    async def signal(self, name: str) -> None:
        self.calls.append(("signal", name))

    def close(self) -> None:
        self.closed.set()


class Script:
    """A source that gives what it was told to, and then waits for more."""

    def __init__(self, *items: Given) -> None:
        self.closed = asyncio.Event()
        self.reads = 0
        self._items: asyncio.Queue[Given] = asyncio.Queue()
        for item in items:
            self.give(item)

    def give(self, item: Given) -> None:
        self._items.put_nowait(item)

    async def read(self, most: int) -> Given:
        self.reads += 1
        return await self._items.get()

    def close(self) -> None:
        self.closed.set()


class Endless:
    """A source that gives zeros as fast as they are read, and counts them."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = asyncio.Event()

    async def read(self, most: int) -> Given:
        await asyncio.sleep(0)
        self.given += most
        return piece(bytes(most), behind=self.given)

    def close(self) -> None:
        self.closed.set()


Carry = Callable[[], Awaitable[Carried] | Carried]


@dataclass
class PlayedNode:
    """`carry` by the names that `exec` is called with, else what `otherwise` makes of them.

    `asked` and `opened` are in order.
    """

    bus: NatsBus
    sessions: Sessions
    subjects: Subjects
    carry: dict[str, Carry] = field(default_factory=dict)
    otherwise: Callable[[str], Carry] | None = None
    opened: list[NodeSession] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: Request) -> bytes:
        command = decode(request.data, Command)
        try:
            value = await self._exec(command)
        except Exception as error:
            body = told(error).to_body()
            result = Result(id=command.id, op=command.op, node="n1", ok=False, error=body)
        else:
            plain = to_plain(value)
            result = Result(id=command.id, op=command.op, node="n1", ok=True, value=plain)
        return encode(result)

    async def _exec(self, command: Command) -> ExecValue:
        args = convert(command.args, ExecArgs)
        assert args.open is not None
        name = args.exec or ""
        self.asked.append(name)

        carry = self.carry.get(name) or (self.otherwise and self.otherwise(name))
        if carry is None:
            raise Invalid(f"nothing to carry is called {name}")

        async def make() -> Carried:
            made = carry()
            return await made if isinstance(made, Awaitable) else made

        session = await self.sessions.open(args.open, command.id, make)
        self.opened.append(session)
        return ExecValue(
            container=args.container,
            incarnation=INCARNATION,
            run=1,
            revision=1,
            process=name,
            session=session.view,
        )

    def carries(self, name: str, source: Source, sink: Sink | None = None, **how: bool) -> None:
        self.carry[name] = lambda: Carried(source, sink, **how)

    async def ended(self) -> None:
        """Until no session is open."""
        lives = set(self.sessions._lives)
        if lives:
            await bounded(asyncio.wait(lives), "the end of all sessions")


@asynccontextmanager
async def played_node(
    url: str, *, most: int = 256, window: int = 256 * 1024, idle_s: float = 60.0
) -> AsyncIterator[PlayedNode]:
    """A life of node n1's agent, as far as sessions need one; its end tells nobody."""
    service = RpcService("1.0.0", "n1", "id-1", ("exec",), (), (), 64, lambda _request: b"")
    bus = NatsBus(BusOptions((url,), "test", "_INBOX_n1", **SHORT), service)
    tasks, subjects = Tasks(), Subjects()
    sessions = Sessions("n1", bus, subjects, tasks, most=most, window=window, idle_s=idle_s)
    node = PlayedNode(bus, sessions, subjects)
    up = asyncio.Event()
    bus.on_connected(up.set)
    await bus.serve(subjects.rpc_of("n1"), node.answer)
    await sessions.start()
    running = asyncio.create_task(bus.run())
    try:
        await bounded(up.wait(), "the node is on the bus")
        yield node
    finally:
        await bus.close()
        running.cancel()
        await asyncio.wait({running})
        await tasks.close()


def session(fleet: Wharfside, name: str, **options: Any) -> Session:
    """A session of n1 that carries what is called `name`."""
    return fleet.node("n1").session("exec", arguments(name), **options)


def arguments(name: str) -> dict[str, Any]:
    process = to_plain(ProcessSpec(args=["x"]))
    return {"container": "web", "process": process, "exec": name}


async def output(session: Session) -> bytes:
    """All the bytes of a session, to its end."""
    found = bytearray()
    async for item in session:
        assert isinstance(item, Chunk)
        found += item.data
    return bytes(found)
