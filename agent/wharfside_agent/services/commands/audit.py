"""Who did what, told: commands that act, and what was denied, in one `audit` event a second.

What a command came to is kept in the transaction of its result, and told in the one that forgets
it: a death between the two loses nothing and tells nothing twice. Denials at the door wait in
memory: those of the last moment are lost with the agent, but not from its log.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import structlog

from wharfside_agent.core.actors import Actor
from wharfside_agent.core.denials import Denials, merged
from wharfside_agent.core.journal import Step
from wharfside_agent.errors import is_shortage
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import AuditRow, CommandRow, EventDraft
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.journal import Journal
from wharfside_protocol.codec import decode
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.errors import Denied, ErrorBody, ErrorCode
from wharfside_protocol.event_facts import Audit as AuditData
from wharfside_protocol.event_facts import AuditRecord, facts
from wharfside_protocol.events import EventType
from wharfside_protocol.ops import Op
from wharfside_protocol.times import to_timestamp

log = structlog.get_logger(__name__)

Wanted = Literal["all", "denials", "none"]

EVERY_S = 1.0
AT_ONCE = 256
"""Records in one event: some 80 KiB."""
KEPT = 10_000
"""So many wait for room in the outbox; then the oldest are given up, and counted."""
LOST = "audits-lost"
"""Meta key: how many were."""

HANDS_OUT = frozenset({"logs", "get-archive", "save-checkpoint"})
"""Reads that the log tells of at its usual level: they give away what containers hold."""

OK = "ok"
LONGEST_NAME = 63
"""Of a container: one that was denied at the door may be named anything."""


class Audit:
    """`run` is its one task. Commands that only read go to the log."""

    def __init__(self, store: Store, clock: Clock, journal: Journal, wanted: Wanted) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._wanted = wanted
        self._denials = Denials()
        self._denied: list[AuditRecord] = []
        self._due = True

    def want(self, wanted: Wanted) -> None:
        """From the next command on."""
        self._wanted = wanted

    def keep(self, tx: Tx, row: CommandRow) -> None:
        """A command has its result. Called on whatever thread the transaction is."""
        self._add(
            tx,
            AuditRow(
                at=row.finished_at or row.received_at,
                op=row.op,
                outcome=row.error or OK,
                actor=row.given_by,
                container=row.container and row.container[:LONGEST_NAME],
                command=row.id,
                rule=_rule_in(row),
            ),
        )

    async def answered(self, op: Op, call: Call, result: Result) -> None:
        """One that is kept under no id has its answer: it is told where it acts, else logged."""
        outcome = OK if result.error is None else str(result.error.code)
        container = _container(call.command)
        if op.acts:
            row = AuditRow(
                at=self._clock.now(),
                op=op.name,
                outcome=outcome,
                actor=call.actor,
                container=container,
                command=call.id,
                rule=_rule_of(result.error),
            )
            await self._keep_answered(row)
        elif outcome == ErrorCode.DENIED or op.name in HANDS_OUT:
            log.info("read", op=op.name, actor=call.actor.name, on=container, outcome=outcome)
        else:
            log.debug("read", op=op.name, actor=call.actor.name, on=container, outcome=outcome)

    async def _keep_answered(self, row: AuditRow) -> None:
        """What is done is answered, though the node may be too short of room to tell it."""
        try:
            await self._store.transact(lambda tx: self._add(tx, row))
        except Exception as error:
            if not is_shortage(error):
                raise
            log.warning("audit-lost", op=row.op, actor=row.actor.name, id=row.command)

    def denied(self, command: Command, actor: Actor, why: Denied) -> None:
        """A command was turned away at the door."""
        rule = _rule_of(why.to_body())
        record = AuditRecord(
            at=to_timestamp(self._clock.now()),
            op=command.op,
            outcome=str(why.code),
            actor=actor.name or None,
            role=actor.role,
            proven=actor.proven,
            key=actor.key,
            container=_container(command),
            command=command.id,
            rule=rule,
        )
        if self._denials.add(record):
            log.warning("denied", op=command.op, actor=actor.name, rule=rule, id=command.id)

    def _add(self, tx: Tx, row: AuditRow) -> None:
        if self._wanted == "all" or (self._wanted == "denials" and row.outcome == ErrorCode.DENIED):
            tx.audit(row)
            self._due = True

    async def run(self) -> None:
        """Tells, for ever; at first what a former life left."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.tell()

    async def tell(self, *, last: bool = False) -> None:
        """Tells what is due, as far as the outbox has room for it; on the way down (`last`) also
        denials that would have waited, which are in no store."""
        try:
            while self._is_due(last=last):
                if not self._store.room.takes(EventType.AUDIT):
                    await self._store.transact(_trim)
                    return
                await self._tell_some()
        except Exception as error:
            if not is_shortage(error):
                raise
            log.warning("audit-later", error=str(error))

    def _is_due(self, *, last: bool) -> bool:
        since_boot = self._clock.boottime()
        if not self._denied and (last or self._denials.due(since_boot)):
            taken = self._denials.take(since_boot)
            self._denied = [] if self._wanted == "none" else taken
        return self._due or bool(self._denied)

    async def _tell_some(self) -> None:
        self._journal.reached(Step.AUDIT_DUE)
        denied, now = self._denied, self._clock.now()
        # before the transaction: what is kept from now on is due again
        self._denied, self._due = [], False
        try:
            more = await self._store.transact(lambda tx: _tell(tx, denied, now))
        except BaseException:
            self._denied, self._due = denied + self._denied, True
            raise
        self._due = self._due or more
        self._journal.reached(Step.AUDIT_COMMITTED)


def _tell(tx: Tx, denied: list[AuditRecord], now: int) -> bool:
    """Whether there is more."""
    rows = tx.audits(AT_ONCE)
    records = [*merged(_record(row) for _place, row in rows), *denied]
    if not records:
        return False
    data = AuditData(records=records, lost=int(tx.meta(LOST) or 0))
    type_ = EventType.AUDIT
    tx.append_event(EventDraft(type=type_, occurred_at=now, observed_at=now, data=facts(data)))
    if rows:
        tx.forget_audits(rows[-1][0])
    if data.lost:
        tx.set_meta(LOST, "0")
    return len(rows) == AT_ONCE


def _trim(tx: Tx) -> None:
    lost = tx.trim_audits(KEPT)
    if lost:
        tx.set_meta(LOST, str(int(tx.meta(LOST) or 0) + lost))


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(
        at=to_timestamp(row.at),
        op=row.op,
        outcome=row.outcome,
        actor=row.actor.name or None,
        role=row.actor.role,
        proven=row.actor.proven,
        key=row.actor.key,
        container=row.container,
        command=row.command,
        rule=row.rule,
    )


def _rule_in(row: CommandRow) -> str | None:
    """By which it was denied; the result of anything else is left alone."""
    if row.error != ErrorCode.DENIED or row.result is None:
        return None
    return _rule_of(decode(row.result, Result).error)


def _rule_of(error: ErrorBody | None) -> str | None:
    rule = None if error is None else error.details.get("rule")
    return rule if isinstance(rule, str) else None


def _container(command: Command) -> str | None:
    named = command.args.get("container")
    return named[:LONGEST_NAME] if isinstance(named, str) else None
