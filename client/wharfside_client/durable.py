"""Durable commands: posted to a node's mailbox, and followed to their result on `res`.

The PubAck says that the command will come to the node, however long that is away. What
became of it is told once: a live message is the doorbell, and the stream is read by
direct get of the two subjects that are this command's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
    wait_random,
)

from wharfside_client.bus import Bus, Tap
from wharfside_client.direct import read_last_of
from wharfside_client.errors import NotSetUp, Pending, ServerUnreachable, Unanswered
from wharfside_client.headers import headers_of
from wharfside_client.jetstream import JetStream
from wharfside_client.messages import Message
from wharfside_protocol.assets import RES
from wharfside_protocol.codec import decode, encode
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import MAX_DEADLINE_SECONDS, Accepted, Command, Result
from wharfside_protocol.errors import Conflict
from wharfside_protocol.node_commands import CommandState
from wharfside_protocol.records import Record
from wharfside_protocol.subjects import Subjects, check_command_id

RESYNC_S = 5.0
"""After so long without a live message the stream is asked: one may have been missed."""
POST_S = 30.0
"""So long a command that gets no PubAck is published again, under the same message id."""

LONGEST_S = float(MAX_DEADLINE_SECONDS)
"""A caller that says nothing else waits as long as a command may wait to be begun."""

R = TypeVar("R", bound=Record)
Reader = Callable[[], Awaitable[R | None]]


class Posted:
    """A durable command by its id; a context while it is followed.

    Attributes:
        id: the command's; `Node.posted(id)` follows it again, also from elsewhere.
        duplicate: the stream had a message of this id already: the command was posted
            before, this one or another under its id (then the result is a `Conflict`).
    """

    def __init__(self, bus: Bus, subjects: Subjects, node: str, id: str) -> None:
        self.node = node
        self.id = check_command_id(id)
        self.duplicate = False
        self._bus = bus
        self._subjects = subjects
        self._digest: str | None = None
        self._bell = asyncio.Event()
        self._tap: Tap | None = None

    async def __aenter__(self) -> Self:
        self._tap = await self._bus.subscribe(
            self._subjects.live_results(self.node, self.id), self._ring
        )
        self._bus.listeners.add(self._bell.set)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self._bus.listeners.discard(self._bell.set)
        if self._tap is not None:
            await self._tap.close()

    def _ring(self, _message: Message) -> None:
        self._bell.set()

    async def accepted(self, timeout_s: float) -> Accepted:
        """That the node has it in its store. A result that is told is as good.

        Raises:
            Pending: not told within `timeout_s`.
            Conflict, NotSetUp, Denied: see `result`.
        """
        return await self._until(self._read_accepted, timeout_s)

    async def result(self, timeout_s: float) -> Result:
        """What became of it, errors too.

        Raises:
            Pending: not told within `timeout_s`; it is kept, and may be followed again.
            Conflict: the id stands for another command.
            NotSetUp: there is no stream of results, or this user may not read it.
            Denied: the bus does not allow it.
        """
        return await self._until(self._read_result, timeout_s)

    async def state(self) -> CommandState | None:
        """As far as it is told: accepted or done; None: the node has not told of it.

        Raises:
            Conflict, NotSetUp, Denied: see `result`.
        """
        result = await self._read_result()
        if result is not None:
            return CommandState(command=self.id, op=result.op, state="done", result=result)
        told = await self._read_accepted()
        if told is None:
            return None
        return CommandState(command=self.id, op=told.op, state="accepted")

    async def _until(self, read: Reader[R], timeout_s: float) -> R:
        end = time.monotonic() + timeout_s
        while True:
            self._bell.clear()
            found = await self._patiently(read, end)
            if found is not None:
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise self.pending(timeout_s)
            try:
                await asyncio.wait_for(self._bell.wait(), min(left, RESYNC_S))
            except TimeoutError:
                continue

    async def _patiently(self, read: Reader[R], end: float) -> R | None:
        """A server that is away for a while tells nothing; the command is kept all the same."""
        try:
            return await read()
        except (Unanswered, ServerUnreachable):
            if time.monotonic() >= end:
                raise
            return None

    async def _read_result(self) -> Result | None:
        """Where there is none, `accepted` may show already that the id is another command's."""
        result = await self._read(self._subjects.result(self.node, self.id), Result)
        if result is None:
            await self._read_accepted()
        else:
            self._compare(result.op, result.digest)
        return result

    async def _read_accepted(self) -> Accepted | None:
        told = await self._read(self._subjects.accepted(self.node, self.id), Accepted)
        if told is not None:
            self._compare(told.op, told.digest)
        return told

    async def _read(self, subject: str, kind: type[R]) -> R | None:
        found = await read_last_of(self._bus, RES, subject)
        return None if found is None else decode(found.data, kind)

    def check(self, command: Command) -> None:
        """From now on what is told must be of this command."""
        self._digest = command_digest(command.op, command.args)

    def _compare(self, op: str, digest: str | None) -> None:
        """The stream's duplicate window may swallow the second use of an id: told here."""
        if self._digest and digest and digest != self._digest:
            raise Conflict(
                f"command id {self.id} was used on {self.node} for another {op}: "
                "give every command its own id",
                command=self.id,
            )

    def pending(self, timeout_s: float) -> Pending:
        """The error that says that nothing is told yet, and where it can be asked for."""
        return Pending(
            f"{self.node} has told nothing of command {self.id} within {timeout_s:g} s; it is "
            f"kept for the node, up to its deadline: `wharfside result {self.node} {self.id}`",
            stage="waiting",
            command=self.id,
            node=self.node,
        )


async def post(bus: Bus, command: Command, traceparent: str | None = None) -> bool:
    """Publishes until the stream has it; whether it had a message of this id before.

    Raises:
        NotSetUp: no stream takes it.
        Unanswered, ServerUnreachable: no PubAck within POST_S; it may be there.
        ApiError, Denied: the bus refuses it.
        Invalid: the command is too large.
    """
    subject = bus.settings.subjects.command(command.node, command.op)
    message_id = f"{command.node}.{command.id}"
    headers = headers_of(bus, command, traceparent)
    return await post_bytes(bus, subject, encode(command), message_id, headers)


async def post_bytes(
    bus: Bus, subject: str, data: bytes, message_id: str, headers: Mapping[str, str] | None = None
) -> bool:
    """As `post`, whatever the bytes are.

    Raises:
        See `post`.
    """
    told = {**(headers or {}), "Nats-Msg-Id": message_id}
    # in a cluster a stream whose leader has died is not there until another one is elected
    passing = (Unanswered, ServerUnreachable, *((NotSetUp,) if bus.clustered else ()))
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(passing),
        wait=wait_exponential(multiplier=0.1, max=2.0) + wait_random(0, 0.1),
        stop=stop_after_delay(POST_S),
        reraise=True,
    )
    try:
        return await retrying(JetStream(bus).publish_once, subject, data, told)
    except NotSetUp as error:
        raise NotSetUp(
            f"no stream takes {subject}: `wharfside bootstrap` makes it", subject=subject
        ) from error
