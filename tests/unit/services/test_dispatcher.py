"""What is about to be launched is expected: before it is written down, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ulid import ULID

from wharfside_agent.host import SystemClock
from wharfside_agent.ports.bus import Request
from wharfside_agent.services.commands.audit import Audit
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.dispatcher import Dispatcher
from wharfside_agent.services.commands.figures import CommandFigures
from wharfside_agent.services.commands.intake import Intake
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.commands.runner import Runner
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.rulebook import Rulebook
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.store.opening import open_store
from wharfside_agent.store.writer import SqliteStore
from wharfside_protocol.codec import decode, encode
from wharfside_protocol.commands import CreateValue
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.records import Record
from wharfside_protocol.states import ContainerState
from wharfside_protocol.subjects import Subjects

ID = "c0mmand-1"
SPEC = {"source": {"rootfs": "/srv/roots/true"}, "process": {"args": ["true"]}}
MADE = CreateValue(
    container="web",
    incarnation=str(ULID()),
    run=1,
    revision=1,
    state=ContainerState.RUNNING,
    pid=7,
    bundle="/run/web",
)


class Node:
    """Its handlers do nothing; `told` is what was heard, in order."""

    def __init__(self, store: SqliteStore) -> None:
        self.told = list[str]()
        self.book = Commands(store, SystemClock(), "n1")
        handlers = dict.fromkeys(("run", "pause"), self.handle)
        clock, journal = SystemClock(), Journal()
        self.dispatcher = Dispatcher(
            "n1",
            Subjects(),
            self.book,
            Intake("n1", self.book, handlers, Rulebook()),
            Runner(self.book, Lanes(), clock, Tasks(), journal, handlers, None),
            Audit(store, clock, journal, "all"),
            CommandFigures(),
            self.expect,
        )

    def expect(self) -> None:
        self.told.append(
            "expected, known already" if self.book.running("c0mmand-1") else "expected"
        )

    async def handle(self, _node: object, call: Call, _args: Any) -> Record:
        self.told.append(call.command.op)
        return MADE

    async def asked(self, op: str, args: dict[str, Any]) -> Result:
        command = Command(id="c0mmand-1", op=op, node="n1", args={"container": "web", **args})
        answer = await self.dispatcher.answer(
            Request(Subjects().rpc("n1", op), encode(command), {})
        )
        assert answer is not None
        return decode(answer, Result)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", 0)
    yield Node(store)
    await store.close()


async def test_a_launch_is_expected_before_it_is_in_the_book(node: Node) -> None:
    assert (await node.asked("run", SPEC)).ok
    assert node.told == ["expected", "run"]


async def test_what_launches_nothing_is_not(node: Node) -> None:
    await node.asked("pause", {})
    assert node.told == ["pause"]


async def test_nor_is_what_is_refused(node: Node) -> None:
    assert not (await node.asked("run", {"source": 7})).ok
    assert node.told == []
