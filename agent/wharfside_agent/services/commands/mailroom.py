"""The mailbox lane: fetched, stored, acked, then run from the store in the order of arrival.

It never stops for good: a bus that is away, a consumer that nobody made yet or that was
lost, a store that is busy: all are waited for, and rpc goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog
from tenacity import AsyncRetrying, Future, retry_if_exception_type, wait_random_exponential

from wharfside_agent.core.journal import Step
from wharfside_agent.ports.bus import BusError, Letter, Mailbox, NoMailbox
from wharfside_agent.ports.rows import CommandRow
from wharfside_agent.ports.store import Store
from wharfside_agent.services.commands.acceptance import Acceptance, Judged, Refused, Verdict
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.figures import MAILBOX, CommandFigures
from wharfside_agent.services.commands.intake import Checked, Intake
from wharfside_agent.services.commands.runner import Runner
from wharfside_agent.services.insistence import Insistence
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.trace import HEADER, enter_trace
from wharfside_protocol.codec import decode
from wharfside_protocol.envelope import DEFAULT_MAILBOX_SECONDS, Command, Result
from wharfside_protocol.errors import Busy, Conflict, WharfsideError
from wharfside_protocol.times import NANOSECONDS

log = structlog.get_logger(__name__)

AGAIN = wait_random_exponential(multiplier=0.5, max=10)
"""Between fetches that fail: a fleet does not come back as one."""

BATCH = 64
"""Letters fetched, and stored with one fsync, at once; as many as the consumer has out."""

TROUBLE_S = 1.0
SHORTAGE_S = 1.0
"""Nothing tells that a disk has room again: looked for as often as the reserve is rebuilt."""
AT_ONCE_S = 0.1

KNOWN = "mailbox-known"
"""Meta key: the consumer has answered. Silence then means that its server is away."""


class Mailroom:
    """`run` is its one task; `resume` comes before it, and before rpc is served.

    `limit` bounds what is accepted and not done: beyond it nothing is fetched, nor while there
    is a `shortage`. A letter that is fetched and cannot be stored has lost one of its few
    deliveries; in the stream it waits for as long as it takes.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        acceptance: Acceptance,
        intake: Intake,
        commands: Commands,
        runner: Runner,
        store: Store,
        insistence: Insistence,
        journal: Journal,
        limit: int,
        shortage: Callable[[], Busy | None],
        changed: Callable[[], None],
        figures: CommandFigures,
    ) -> None:
        self._mailbox = mailbox
        self._acceptance = acceptance
        self._intake = intake
        self._commands = commands
        self._runner = runner
        self._store = store
        self._insistence = insistence
        self._journal = journal
        self._figures = figures
        self._limit = limit
        self.dead_letters = 0
        self._room = limit
        self._freed = asyncio.Event()
        self._shortage = shortage
        self._short = False
        self._changed = changed
        self._known = False
        self._leaving = False
        self.state = "missing"

    @property
    def accepted(self) -> int:
        """Durable commands in the store that are not done."""
        return self._limit - self._room

    async def resume(self) -> int:
        """Takes up what former lives accepted and did not begin; how many."""
        self._known = await self._store.transact(lambda tx: tx.meta(KNOWN)) == "yes"
        self.state = "offline" if self._known else "missing"
        rows = await self._store.transact(lambda tx: tx.waiting_commands())
        for row in rows:
            await self._take_up(row)
        return len(rows)

    async def _take_up(self, row: CommandRow) -> None:
        call = self._commands.enter(row, decode(row.command or b"", Command))
        try:
            checked = self._intake.again(call, DEFAULT_MAILBOX_SECONDS)
        except WharfsideError as error:
            # This version takes less than the one that accepted it.
            await self._commands.finish(call, self._commands.answers.failure(call, error.to_body()))
            return
        self._start(checked)

    def limit(self, limit: int) -> None:
        """What is accepted beyond it is done all the same."""
        self._room += limit - self._limit
        self._limit = limit
        self._freed.set()

    def close(self) -> None:
        """Takes no more: what still comes is delivered again, to the next life."""
        self._leaving = True

    async def run(self) -> None:
        """Until `close`."""
        while not self._leaving:
            try:
                if not await self._may_fetch():
                    continue
                letters = await self._fetch(min(self._room, BATCH))
                if letters and not self._leaving:
                    await self._take(letters)
            except Exception as error:
                # What was not acked is delivered again.
                log.error("mailbox-trouble", exc_info=error)
                await asyncio.sleep(TROUBLE_S)

    async def _may_fetch(self) -> bool:
        """Waits for room; where the node is short of something, only a while, to be asked again."""
        while self._room <= 0:
            self._freed.clear()
            await self._freed.wait()
        short = self._shortage()
        if (short is not None) != self._short:
            self._short = short is not None
            log.warning("mailbox-pauses" if short else "mailbox-goes-on", because=_facts(short))
        if short is not None:
            await asyncio.sleep(SHORTAGE_S)
        return short is None

    async def _fetch(self, most: int) -> list[Letter]:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(BusError),
            wait=AGAIN,
            sleep=self._insistence.nap,
            before_sleep=lambda state: self._unwell(state.outcome),
        ):
            with attempt:
                began = time.monotonic()
                letters = await self._mailbox.fetch(most)
                await self._well()
                if not letters and time.monotonic() - began < AT_ONCE_S:
                    await self._insistence.nap(TROUBLE_S)
                return letters
        raise AssertionError("retries never end")

    async def _well(self) -> None:
        self._now("ok")
        if not self._known:
            self._known = True
            await self._store.transact(lambda tx: tx.set_meta(KNOWN, "yes"))

    def _unwell(self, outcome: Future | None) -> None:
        """Not connected says nothing of the mailbox."""
        error = None if outcome is None else outcome.exception()
        if isinstance(error, NoMailbox):
            self._known = self._known and not error.deleted
            self._now("offline" if self._known else "missing")

    def _now(self, state: str) -> None:
        if state != self.state:
            self.state = state
            log.info("mailbox", state=state)
            self._changed()

    async def _take(self, letters: Sequence[Letter]) -> None:
        self._journal.reached(Step.MAILBOX_FETCHED)
        judged = [self._acceptance.judge(letter) for letter in letters]
        verdicts = await self._acceptance.store(judged)
        self._journal.reached(Step.MAILBOX_STORED)
        answers = zip(letters, judged, verdicts, strict=True)
        await asyncio.gather(*(_answer(*each) for each in answers))
        self._journal.reached(Step.MAILBOX_ACKED)
        for each, verdict in zip(judged, verdicts, strict=True):
            self.dead_letters += verdict is Verdict.CONFLICT
            if isinstance(each, Checked) and verdict is Verdict.NEW:
                self._start(each)

    def _start(self, checked: Checked) -> None:
        call = checked.call
        assert call.outcome is not None  # in the book
        self._room -= 1
        call.outcome.add_done_callback(lambda outcome: self._done(call, outcome))
        enter_trace({HEADER: call.trace} if call.trace else {})
        self._runner.start(checked.op, call, checked.args, checked.remaining)
        enter_trace({})

    def _done(self, call: Call, outcome: asyncio.Future[Result]) -> None:
        self._room += 1
        self._freed.set()
        if not outcome.cancelled():
            # By the clock on the wall, since a former life may have taken it in.
            took_s = (self._commands.now() - call.received_at) / NANOSECONDS
            self._figures.note(MAILBOX, outcome.result(), max(took_s, 0.0))


def _facts(short: Busy | None) -> dict[str, object]:
    return {} if short is None else short.details


async def _answer(letter: Letter, judged: Judged, verdict: Verdict) -> None:
    """Acked, or terminated with the reason: then it is a dead letter."""
    if isinstance(judged, Refused):
        error: WharfsideError = judged.error
    elif verdict is Verdict.CONFLICT:
        error = Conflict(f"command id {judged.call.id} stands for another command")
    else:
        try:
            await letter.ack()
        except BusError as unsure:
            log.warning("not-acked", id=judged.call.id, error=str(unsure))
        return
    log.warning("dead-letter", subject=letter.request.subject, error=error.message)
    await letter.terminate(f"{error.code}: {error.message}")
