"""From bytes on the rpc prefix to the bytes of a Result: decode, guard, run or join, answer.

Nothing that comes in can make it raise or stop: every answer is a Result.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
import structlog

from wharfside_agent import spans
from wharfside_agent.errors import told
from wharfside_agent.ports.bus import Request
from wharfside_agent.ports.tracer import SpanKind
from wharfside_agent.services.commands.audit import Audit
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.figures import RPC, CommandFigures
from wharfside_agent.services.commands.intake import Checked, Intake
from wharfside_agent.services.commands.runner import Runner
from wharfside_agent.services.trace import enter_trace
from wharfside_protocol.codec import decode, encode
from wharfside_protocol.envelope import DEFAULT_RPC_SECONDS, Command, Result
from wharfside_protocol.errors import DeadlineExceeded, ErrorBody, Invalid, WharfsideError
from wharfside_protocol.subjects import Subjects

log = structlog.get_logger(__name__)


class Dispatcher:
    def __init__(
        self,
        name: str,
        subjects: Subjects,
        commands: Commands,
        intake: Intake,
        runner: Runner,
        audit: Audit,
        figures: CommandFigures,
        expect: Callable[[], None],
    ) -> None:
        """`expect` hears of each command that begins something, before it is written down."""
        self._name = name
        self._subjects = subjects
        self._commands = commands
        self._answers = commands.answers
        self._intake = intake
        self._runner = runner
        self._audit = audit
        self._figures = figures
        self._expect = expect

    async def answer(self, request: Request) -> bytes | None:
        """The encoded Result; None where the subject is not this node's own rpc."""
        try:
            op = self._subjects.op_of(request.subject, self._name)
        except Invalid as error:
            log.warning("foreign-subject", subject=request.subject, error=error.message)
            return None
        enter_trace(request.headers)
        began = time.monotonic()
        with spans.root(f"command {op}", SpanKind.SERVER, {"wharfside.op": op}) as span:
            try:
                result = await self._answer(op, request)
            except Exception as error:
                log.error("request-failed", op=op, exc_info=error)
                result = self._refusal(op, told(error).to_body())
            if result.error is not None:
                span.fail(str(result.error.code))
        self._figures.note(RPC, result, time.monotonic() - began)
        return self._encoded(result)

    async def _answer(self, op: str, request: Request) -> Result:
        command: Command | None = None
        try:
            command = decode(request.data, Command)
            checked = self._intake.check(command, op, DEFAULT_RPC_SECONDS, request.headers)
            _in_time(checked.remaining)
        except WharfsideError as error:
            return self._refusal(op, error.to_body(), command)
        if checked.op.instant:
            return await self._runner.handle(checked.op, checked.call, checked.args)
        if checked.op.changes:
            return await self._changing(checked)
        result = await self._reading(checked)
        await self._audit.answered(checked.op, checked.call, result)
        return result

    async def _reading(self, checked: Checked) -> Result:
        try:
            async with asyncio.timeout(checked.remaining):
                return await self._runner.handle(checked.op, checked.call, checked.args)
        except TimeoutError:
            late = DeadlineExceeded("the deadline passed while reading", stage="running")
            return self._answers.failure(checked.call, late.to_body())

    async def _changing(self, checked: Checked) -> Result:
        """Runs it, joins it, or replays it; the work goes on if the caller's time is up."""
        call = checked.call
        if checked.op.new_work:
            self._expect()
        try:
            found = await self._commands.accept(call)
        except WharfsideError as error:
            return self._answers.failure(call, error.to_body())
        if isinstance(found, Result):
            return found
        if found is call:
            self._runner.start(checked.op, call, checked.args, checked.remaining)
        return await self._awaited(found, call, checked.remaining)

    async def _awaited(self, running: Call, asked: Call, remaining: float) -> Result:
        assert running.outcome is not None  # in the book
        done, _ = await asyncio.wait({running.outcome}, timeout=remaining)
        if done:
            return running.outcome.result()
        late = DeadlineExceeded(
            f"not done by the deadline; it goes on: ask for its result ({running.id}) later",
            stage="running" if running.started_at else "waiting",
        )
        return self._answers.failure(asked, late.to_body())

    def _refusal(self, op: str, error: ErrorBody, command: Command | None = None) -> Result:
        return Result(
            id=command.id if command else "", op=op, node=self._name, ok=False, error=error
        )

    def _encoded(self, result: Result) -> bytes:
        try:
            return encode(result)
        except Invalid as error:
            refused = self._refusal(result.op, error.to_body())
            return encode(msgspec.structs.replace(refused, id=result.id))


def _in_time(remaining: float) -> None:
    if remaining <= 0:
        raise DeadlineExceeded(
            f"the deadline was {-remaining:.3f} s ago by this node's clock; nothing was done",
            stage="waiting",
        )
