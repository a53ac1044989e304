"""One piece of the orchestrator's work: a container, its commands, and the marks of its processes.

Every command is repeated under its id until the node answers, as an orchestrator does that must
know; the answer is written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.chaos.runner.records import Command, Owner, Records

from wharfside_client import Node, container, process
from wharfside_client.calls import Options, new_command_id
from wharfside_client.errors import ClientError, Pending
from wharfside_protocol.commands import CreateValue, ExecValue, WaitArgs, WaitValue
from wharfside_protocol.errors import DeadlineExceeded, Unsupported, WharfsideError
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.specs import ProcessSpec
from wharfside_protocol.times import NANOSECONDS, to_timestamp

V = TypeVar("V")

ANSWER_S = 45.0
"""No command may take longer than this, whatever is killed meanwhile."""

ASK_S = 3.0
"""An answer that has not come by then was lost, or the work takes long: asked again, the node joins
the repeat to it."""

WAIT_S = 60.0

DURABLE = "durable"
"""The option of the client for the mailbox lane."""


def durable_known() -> bool:
    return DURABLE in Options.__annotations__


@dataclass(frozen=True, slots=True)
class Site:
    """What all jobs share."""

    node: Node
    rootfs: Path
    records: Records
    token: str
    numbers: itertools.count[int]


class Job:
    """`durable`: its commands go over the mailbox, where the client can."""

    def __init__(self, site: Site, kind: str, chance: random.Random, *, durable: bool) -> None:
        self.node = site.node
        self.chance = chance
        self.kind = kind
        self.durable = durable
        self._site = site
        self.records = site.records
        self.name = f"{kind}-{next(site.numbers)}"

    def script(self, text: str, process_: str = "init", *, oom: bool = False) -> list[str]:
        """`text` for the shell, which first tells the kernel, and so the observer, who it is."""
        mark = f"{self._site.token}{next(self._site.numbers):06d}"
        self.records.owners[mark] = Owner(self.name, process_, self.kind, oom)
        return ["/bin/sh", "-c", f"echo -n {mark} >/proc/self/comm; {text}"]

    async def make(self, text: str, op: str = "run", **others: Any) -> CreateValue:
        oom = others.pop("oom", False)
        runtime = "runc" if self.chance.random() < 0.15 else "crun"
        args = container(
            self.name,
            self.script(text, oom=oom),
            rootfs=str(self._site.rootfs),
            runtime=runtime,
            **others,
        )
        call = self.node.run if op == "run" else self.node.create
        return await self.ask(op, lambda options: call(args, **options))

    async def exec(self, text: str, id_: str, *, wait: bool, **others: Any) -> ExecValue:
        spec = process(self.script(text, id_))
        return await self.ask("exec", lambda options: self._exec(spec, id_, wait, others, options))

    async def _exec(
        self, spec: ProcessSpec, id_: str, wait: bool, others: Any, options: Options
    ) -> ExecValue:
        return await self.node.exec(self.name, spec, id=id_, wait=wait, **others, **options)

    async def start(self) -> None:
        await self.ask("start", lambda options: self.node.start(self.name, **options))

    async def pause(self) -> None:
        await self.ask("pause", lambda options: self.node.pause(self.name, **options))

    async def resume(self) -> None:
        await self.ask("resume", lambda options: self.node.resume(self.name, **options))

    async def signal(self, signal: str, process_: str = "init") -> None:
        self.records.kills.add(self.name)
        await self.ask(
            "signal",
            lambda options: self.node.signal(self.name, signal, process=process_, **options),
        )

    async def stop(self, grace_s: float) -> WaitValue:
        self.records.kills.add(self.name)
        return await self.ask(
            "stop", lambda options: self.node.stop(self.name, grace_s=grace_s, **options)
        )

    async def delete(self, *, force: bool = False) -> None:
        self.records.kills.add(self.name)
        await self.ask(
            "delete", lambda options: self.node.delete(self.name, force=force, **options)
        )

    async def wait(self, incarnation: str | None = None, process_: str = "init") -> ExitStatus:
        """The exit; a read, so it is no command in the books.

        Raises:
            TimeoutError: it did not come within WAIT_S.
        """
        args = WaitArgs(
            container=self.name, incarnation=incarnation, process=process_, timeout_s=ASK_S - 1
        )
        async with asyncio.timeout(WAIT_S):
            while True:
                with contextlib.suppress(ClientError, DeadlineExceeded):
                    value = await self.node.call("wait", args, timeout_s=ASK_S)
                    assert isinstance(value, WaitValue)
                    if value.exit is not None:
                        return value.exit

    async def ask(self, op: str, call: Callable[[Options], Awaitable[V]]) -> V:
        """Sends it until it is answered, within ANSWER_S, and writes the answer down."""
        command = Command(new_command_id(), op, self.name, time.time_ns())
        self.records.commands.append(command)
        try:
            value = await self._until_answered(command, call)
        except WharfsideError as error:
            unanswered = isinstance(error, ClientError | DeadlineExceeded)
            command.outcome = "unanswered" if unanswered else str(error.code)
            command.message = error.message
            command.kept = isinstance(error, Pending)
            command.answered_at = time.time_ns()
            if isinstance(error, Unsupported):
                self.records.commands.remove(command)
            raise
        command.outcome, command.answered_at = "ok", time.time_ns()
        command.incarnation = getattr(value, "incarnation", None)
        command.run = getattr(value, "run", None)
        return value

    async def _until_answered(self, command: Command, call: Callable[[Options], Awaitable[V]]) -> V:
        """A lost answer is not waited for long: the same command is asked again."""
        end = command.sent_at + int(ANSWER_S * NANOSECONDS)
        options: dict[str, Any] = {
            "command_id": command.id,
            "deadline": to_timestamp(end),
            "timeout_s": ANSWER_S if self.durable else ASK_S,
        }
        if self.durable:
            options[DURABLE] = True
        while True:
            try:
                return await call(Options(**options))  # type: ignore[typeddict-item]
            except (ClientError, DeadlineExceeded):
                if time.time_ns() > end:
                    raise
