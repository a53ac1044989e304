"""Runs a command that is in the book: waits for its lane, begins it, keeps its result.

The same for both ways in; a durable command differs in that it waits in the store, as
long as it takes, and leaves that queue with an fsync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from wharfside_agent import spans
from wharfside_agent.core.journal import Step
from wharfside_agent.errors import told
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.tracer import SpanKind
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.tasks import Tasks, unbroken
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import (
    Busy,
    Canceled,
    DeadlineExceeded,
    Draining,
    ErrorBody,
    WharfsideError,
)
from wharfside_protocol.ops import Op
from wharfside_protocol.records import Record

log = structlog.get_logger(__name__)

HandlerFunction = Callable[[Any, Call, Any], Awaitable[Record]]
"""(node, call, args) -> value. Raises WharfsideError."""

Work = Callable[[Op, Call, Any, float], Coroutine[Any, Any, Result]]

STORE_BUSY_S = 1.0


class Runner:
    """`handlers` is the registry; `node` is handed to each of them."""

    def __init__(
        self,
        commands: Commands,
        lanes: Lanes,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        handlers: Mapping[str, HandlerFunction],
        node: object,
        draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._commands = commands
        self._answers = commands.answers
        self._lanes = lanes
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._handlers = handlers
        self._node = node
        self._draining = draining

    @property
    def ops(self) -> list[str]:
        return sorted(self._handlers)

    def start(self, op: Op, call: Call, args: Any, remaining: float) -> None:
        """`remaining`: so many seconds it may wait before it is begun."""
        # A durable signal keeps its place behind what was sent before it.
        work = self._in_lane if op.lane or call.durable else self._outside_lanes
        if call.durable:
            work = partial(self._mailed, work)
        call.task = self._tasks.start(work(op, call, args, remaining), f"{op.name} {call.id}")

    async def _mailed(self, work: Work, op: Op, call: Call, args: Any, remaining: float) -> Result:
        """One over rpc is in its request's span already."""
        facts = {"wharfside.op": op.name, "wharfside.command": call.id}
        with spans.root(f"command {op.name}", SpanKind.CONSUMER, facts) as span:
            result = await work(op, call, args, remaining)
            if result.error is not None:
                span.fail(str(result.error.code))
            return result

    async def _in_lane(self, op: Op, call: Call, args: Any, remaining: float) -> Result:
        try:
            await self._enter_lane(call, args.container, remaining)
        except Busy as error:
            return await self._turned_away(call, error)
        except WharfsideError as error:
            return await self._finished(call, self._answers.failure(call, error.to_body()))
        assert call.ticket is not None
        try:
            return await self._outside_lanes(op, call, args, remaining)
        finally:
            call.ticket.release()

    async def _enter_lane(self, call: Call, container: str, remaining: float) -> None:
        """
        Raises:
            Busy: the lane is full; a durable command waits all the same.
            Canceled, DeadlineExceeded: nothing was done for it.
            asyncio.CancelledError: the agent goes down; a durable one waits on in the store.
        """
        if call.cancel_asked:
            raise _canceled(container)
        if remaining <= 0:
            raise _too_late(container)
        call.interruptible = True
        try:
            with spans.span("wait in lane"):
                async with asyncio.timeout(remaining):
                    call.ticket = await self._lanes.enter(container, patient=call.durable)
        except TimeoutError as error:
            raise _too_late(container) from error
        except asyncio.CancelledError as error:
            if call.durable and not call.cancel_asked:
                raise
            raise _canceled(container) from error
        finally:
            call.interruptible = False

    async def _turned_away(self, call: Call, error: WharfsideError) -> Result:
        """Nothing was done: the id is free again, but for a durable one, which is told."""
        refusal = self._answers.failure(call, error.to_body())
        await unbroken(self._commands.turn_away(call, refusal))
        return refusal

    async def _outside_lanes(self, op: Op, call: Call, args: Any, _remaining: float) -> Result:
        if op.new_work and self._draining():
            return await self._turned_away(call, _drains())
        call.begun = True
        if call.durable:
            await self._begin(call)
        return await self._finished(call, await self.handle(op, call, args))

    async def _begin(self, call: Call) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Busy), wait=wait_fixed(STORE_BUSY_S), reraise=True
        )
        await asyncio.shield(asyncio.ensure_future(retrying(self._commands.begin, call)))
        self._journal.reached(Step.MAILBOX_BEGUN)

    async def _finished(self, call: Call, result: Result) -> Result:
        await unbroken(self._commands.finish(call, result))
        return result

    async def handle(self, op: Op, call: Call, args: Record) -> Result:
        """What its handler makes of it; whatever that raises is an error of the result."""
        call.started_at = self._clock.now()
        call.begun, call.interruptible = True, False
        try:
            value = await self._handlers[op.name](self._node, call, args)
        except (WharfsideError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not op.changes:
                raise
            call.settled = False
            return self._answers.failure(call, _body(error))
        except Exception as error:
            log.error("handler-failed", op=op.name, id=call.id, exc_info=error)
            call.settled = False
            return self._answers.failure(call, told(error).to_body())
        return call.result or self._answers.success(call, value)


def _drains() -> Draining:
    return Draining("this node drains and takes no new work: use another, or `undrain` it")


def _too_late(container: str) -> DeadlineExceeded:
    message = f"waited for {container}'s lane until the deadline; nothing was done"
    return DeadlineExceeded(message, stage="waiting")


def _canceled(container: str) -> Canceled:
    return Canceled(f"canceled while it waited for {container}'s lane", stage="waiting")


def _body(error: BaseException) -> ErrorBody:
    if isinstance(error, WharfsideError):
        return error.to_body()
    canceled = Canceled(
        "canceled before it was done; what it had begun is told by its events", stage="running"
    )
    return canceled.to_body()
