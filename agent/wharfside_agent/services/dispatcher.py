"""From bytes on the rpc prefix to the bytes of a Result: decode, guard, lane, handler.

Nothing that comes in can make it raise or stop: every answer is a Result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from wharfside_agent.errors import told
from wharfside_agent.ports.bus import Request
from wharfside_agent.ports.clock import Clock
from wharfside_agent.services.commands import Call, Commands
from wharfside_agent.services.lanes import Lanes
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.services.trace import enter_trace
from wharfside_protocol import PROTOCOL_VERSION
from wharfside_protocol.codec import convert, decode, encode
from wharfside_protocol.commands import OPS, Op
from wharfside_protocol.envelope import (
    DEFAULT_RPC_SECONDS,
    MAX_DEADLINE_SECONDS,
    Command,
    Result,
)
from wharfside_protocol.errors import (
    Busy,
    Canceled,
    DeadlineExceeded,
    Draining,
    ErrorBody,
    Invalid,
    Unsupported,
    WharfsideError,
)
from wharfside_protocol.records import Record
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import NANOSECONDS, from_timestamp

log = structlog.get_logger(__name__)

HandlerFunction = Callable[[Any, Call, Any], Awaitable[Record]]
"""(node, call, args) -> value. Raises WharfsideError."""


class Dispatcher:
    """`handlers` is the registry; `node` is handed to each of them."""

    def __init__(
        self,
        name: str,
        subjects: Subjects,
        commands: Commands,
        lanes: Lanes,
        clock: Clock,
        tasks: Tasks,
        handlers: Mapping[str, HandlerFunction],
        node: object,
        draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._name = name
        self._subjects = subjects
        self._commands = commands
        self._lanes = lanes
        self._clock = clock
        self._tasks = tasks
        self._handlers = handlers
        self._node = node
        self._draining = draining

    async def answer(self, request: Request) -> bytes | None:
        """The encoded Result; None where the subject is not this node's own rpc."""
        try:
            op = self._subjects.op_of(request.subject, self._name)
        except Invalid as error:
            log.warning("foreign-subject", subject=request.subject, error=error.message)
            return None
        enter_trace(request.headers)
        try:
            return self._encoded(await self._answer(op, request.data))
        except Exception as error:
            log.error("request-failed", op=op, exc_info=error)
            return self._encoded(self._refusal(op, told(error).to_body()))

    async def _answer(self, op: str, data: bytes) -> Result:
        command: Command | None = None
        try:
            command = decode(data, Command)
            known = self._check(command, op)
            args = convert(command.args, known.args)
            call = self._commands.new_call(command)
            remaining = self._remaining(call)
        except WharfsideError as error:
            return self._refusal(op, error.to_body(), command)
        if known.changes:
            return await self._changing(known, call, args, remaining)
        return await self._reading(known, call, args, remaining)

    def _check(self, command: Command, op: str) -> Op:
        if command.v != PROTOCOL_VERSION:
            raise Unsupported(f"protocol version {command.v}: this node speaks {PROTOCOL_VERSION}")
        if command.node != self._name or command.op != op:
            raise Invalid(
                f"the envelope says {command.node}/{command.op}, "
                f"the subject says {self._name}/{op}: they must agree"
            )
        known = OPS.get(op)
        if known is None or op not in self._handlers:
            raise Unsupported(f"no op {op!r} here: {', '.join(sorted(self._handlers))}")
        return known

    def _remaining(self, call: Call) -> float:
        """Seconds to the deadline, by this node's clock."""
        if call.command.deadline is None:
            return DEFAULT_RPC_SECONDS
        left = (from_timestamp(call.command.deadline) - call.received_at) / NANOSECONDS
        if left > MAX_DEADLINE_SECONDS:
            raise Invalid(f"deadline {left:.0f} s ahead: at most {MAX_DEADLINE_SECONDS} s")
        if left <= 0:
            raise DeadlineExceeded(
                f"the deadline was {-left:.3f} s ago by this node's clock; nothing was done",
                stage="waiting",
            )
        return left

    async def _reading(self, op: Op, call: Call, args: Record, remaining: float) -> Result:
        if op.instant:
            return await self._handle(op, call, args)
        try:
            async with asyncio.timeout(remaining):
                return await self._handle(op, call, args)
        except TimeoutError:
            late = DeadlineExceeded("the deadline passed while reading", stage="running")
            return self._commands.failure(call, late.to_body())

    async def _changing(self, op: Op, call: Call, args: Record, remaining: float) -> Result:
        """Runs it, joins it, or replays it; the work goes on if the caller's time is up."""
        try:
            found = await self._commands.accept(call)
        except WharfsideError as error:
            return self._commands.failure(call, error.to_body())
        if isinstance(found, Result):
            return found
        if found is call:
            if op.new_work and self._draining():
                return await self._turned_away(call, _drains())
            work = self._in_lane if op.lane else self._outside_lanes
            name = f"{op.name} {call.id}"
            call.task = self._tasks.start(work(op, call, args, remaining), name)
        return await self._awaited(found, call, remaining)

    async def _awaited(self, running: Call, asked: Call, remaining: float) -> Result:
        assert running.outcome is not None  # in the book
        done, _ = await asyncio.wait({running.outcome}, timeout=remaining)
        if done:
            return running.outcome.result()
        late = DeadlineExceeded(
            f"not done by the deadline; it goes on: ask for its result ({running.id}) later",
            stage="running" if running.started_at else "waiting",
        )
        return self._commands.failure(asked, late.to_body())

    async def _in_lane(self, op: Op, call: Call, args: Any, remaining: float) -> Result:
        try:
            async with asyncio.timeout(remaining):
                call.ticket = await self._lanes.enter(args.container)
        except Busy as error:
            return await self._turned_away(call, error)
        except (TimeoutError, asyncio.CancelledError) as error:
            reason = _not_let_in(error, args.container).to_body()
            return await self._finished(call, self._commands.failure(call, reason))
        try:
            return await self._outside_lanes(op, call, args, remaining)
        finally:
            call.ticket.release()

    async def _turned_away(self, call: Call, error: WharfsideError) -> Result:
        """Nothing was done: the id is free again."""
        refusal = self._commands.failure(call, error.to_body())
        await asyncio.shield(self._commands.turn_away(call, refusal))
        return refusal

    async def _outside_lanes(self, op: Op, call: Call, args: Any, _remaining: float) -> Result:
        return await self._finished(call, await self._handle(op, call, args))

    async def _finished(self, call: Call, result: Result) -> Result:
        await asyncio.shield(self._commands.finish(call, result))
        return result

    async def _handle(self, op: Op, call: Call, args: Record) -> Result:
        call.started_at = self._clock.now()
        call.interruptible = False
        try:
            value = await self._handlers[op.name](self._node, call, args)
        except (WharfsideError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not op.changes:
                raise
            call.settled = False
            return self._commands.failure(call, _body(error))
        except Exception as error:
            log.error("handler-failed", op=op.name, id=call.id, exc_info=error)
            call.settled = False
            return self._commands.failure(call, told(error).to_body())
        return call.result or self._commands.success(call, value)

    def _refusal(self, op: str, error: ErrorBody, command: Command | None = None) -> Result:
        return Result(
            id=command.id if command else "", op=op, node=self._name, ok=False, error=error
        )

    def _encoded(self, result: Result) -> bytes:
        try:
            return encode(result)
        except Invalid as error:
            return encode(self._refusal(result.op, error.to_body()))


def _drains() -> Draining:
    return Draining("this node drains and takes no new work: use another, or `undrain` it")


def _not_let_in(error: BaseException, container: str) -> WharfsideError:
    """Why a command never came out of its lane's queue: nothing was done for it."""
    if isinstance(error, TimeoutError):
        message = f"waited for {container}'s lane until the deadline; nothing was done"
        return DeadlineExceeded(message, stage="waiting")
    return Canceled(f"canceled while it waited for {container}'s lane", stage="waiting")


def _body(error: BaseException) -> ErrorBody:
    if isinstance(error, WharfsideError):
        return error.to_body()
    canceled = Canceled(
        "canceled before it was done; what it had begun is told by its events", stage="running"
    )
    return canceled.to_body()
