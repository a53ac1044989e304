"""Letters from the mailbox into the store: each one new, a repeat, a conflict, or refused.

A batch is one transaction with an fsync. After it every letter has an answer that
another delivery of it, in whichever life, would be given again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import msgspec
import structlog

from wharfside_agent.errors import told
from wharfside_agent.ports.bus import Letter
from wharfside_agent.ports.rows import CommandPhase, CommandRow
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.intake import Checked, Intake
from wharfside_agent.services.commands.reports import accepted_report, result_report
from wharfside_agent.services.trace import traceparent
from wharfside_protocol.codec import decode, unpack
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import DEFAULT_MAILBOX_SECONDS, Command
from wharfside_protocol.errors import Busy, Unsupported, WharfsideError
from wharfside_protocol.records import OP_PATTERN
from wharfside_protocol.subjects import Subjects, check_command_id

log = structlog.get_logger(__name__)


class Verdict(Enum):
    NEW = auto()
    REPEAT = auto()
    CONFLICT = auto()


@dataclass(frozen=True, slots=True)
class Refused:
    """A letter that is no command. `call` stands for it, where its id can be read."""

    error: WharfsideError
    call: Call | None = None


Judged = Checked | Refused


class Acceptance:
    """What the store says to what comes in."""

    def __init__(
        self, node: str, subjects: Subjects, store: Store, commands: Commands, intake: Intake
    ) -> None:
        self._node = node
        self._subjects = subjects
        self._store = store
        self._commands = commands
        self._answers = commands.answers
        self._intake = intake

    def judge(self, letter: Letter) -> Judged:
        """Whether it is a command that may be run here; nothing is stored yet."""
        request = letter.request
        try:
            op = self._subjects.mailed_op_of(request.subject, self._node)
            command = decode(request.data, Command)
            checked = self._intake.check(command, op, DEFAULT_MAILBOX_SECONDS, request.headers)
            if not checked.op.changes:
                raise Unsupported(f"{op} changes nothing: ask it over rpc, where it is answered")
            if checked.call.digest is None:
                checked.call.digest = command_digest(op, command.args)
        except WharfsideError as error:
            return Refused(error, self._unsound(request.data))
        except Exception as error:
            # Given back, it would come again and again, and those beside it with it.
            log.error("letter-failed", subject=request.subject, exc_info=error)
            return Refused(told(error))
        checked.call.durable = True
        checked.call.trace = traceparent(request.headers)
        return checked

    def _unsound(self, data: bytes) -> Call | None:
        """A call under the id that is in `data`, if any, so that its sender can be told."""
        try:
            claimed = unpack(data)
            id_, op = _text(claimed, "id"), _op(claimed)
            check_command_id(id_)
            args = claimed.get("args", {})
            digest = command_digest(op, args) if isinstance(args, dict) else ""
        except WharfsideError:
            return None
        call = self._commands.new_call(Command(id=id_, op=op, node=self._node))
        call.digest, call.durable = digest, True
        return call

    async def store(self, batch: Sequence[Judged]) -> list[Verdict]:
        """Commits the batch; then a new call is in the book, for its turn to be run.

        Raises:
            Busy: nothing was stored.
        """
        for each in batch:
            if isinstance(each, Checked):
                self._into_the_book(each.call)
        try:
            verdicts = await self._store.transact(
                lambda tx: [self._enter(tx, each) for each in batch], durable=True
            )
        except BaseException:
            self._out_of_the_book(batch)
            raise
        for each, verdict in zip(batch, verdicts, strict=True):
            if isinstance(each, Checked):
                await self._settle(each.call, verdict)
        return verdicts

    def _into_the_book(self, call: Call) -> None:
        """Before the commit: a repeat over rpc joins it. One that runs will tell its result."""
        running = self._commands.running(call.id)
        if running is None:
            self._commands.put(call)
        elif running.digest == call.digest:
            running.durable = True

    def _out_of_the_book(self, batch: Sequence[Judged]) -> None:
        for each in batch:
            if isinstance(each, Checked) and self._commands.running(each.call.id) is each.call:
                lost = Busy("it could not be stored now: send it again")
                self._commands.leave(each.call, self._answers.failure(each.call, lost.to_body()))

    def _enter(self, tx: Tx, each: Judged) -> Verdict:
        if isinstance(each, Refused):
            if each.call is not None and tx.command(each.call.id) is None:
                failure = self._answers.failure(each.call, each.error.to_body())
                self._commands.save_refused(tx, each.call, failure)
            return Verdict.CONFLICT
        known = tx.command(each.call.id)
        if known is None:
            row = self._answers.row(each.call, CommandPhase.ACCEPTED)
            tx.save_command(row)
            tx.report(accepted_report(row, self._node))
            return Verdict.NEW
        return self._meets(tx, known, each.call)

    def _meets(self, tx: Tx, known: CommandRow, call: Call) -> Verdict:
        """Somebody has this id already: what is told shows which command that is."""
        if known.digest != call.digest:
            tx.report(accepted_report(known, self._node))
            return Verdict.CONFLICT
        if known.phase is CommandPhase.DONE:
            tx.report(result_report(known))
        elif not known.durable:
            tx.save_command(msgspec.structs.replace(known, durable=True))
            tx.report(accepted_report(known, self._node))
        return Verdict.REPEAT

    async def _settle(self, call: Call, verdict: Verdict) -> None:
        mine = self._commands.running(call.id) is call
        if verdict is Verdict.NEW:
            if not mine:
                self._commands.put(call)
        elif mine:
            known = await self._store.transact(lambda tx: tx.command(call.id))
            assert known is not None
            self._commands.leave(call, self._answers.to_repeat(known, call))


def _text(claimed: dict[str, Any], field: str) -> str:
    value = claimed.get(field)
    return value if isinstance(value, str) else ""


def _op(claimed: dict[str, Any]) -> str:
    """Only what may be one: its result is kept and told, and must find room in a message."""
    op = _text(claimed, "op")
    return op if re.match(OP_PATTERN, op) else ""
