"""The book of commands: one key over all lanes, results kept, repeats answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from wharfside_agent.core.actors import NOBODY, Actor
from wharfside_agent.errors import told
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import CommandPhase, CommandRow
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.commands.answers import Answers, check_same, going_down, was_canceled
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.reports import result_report
from wharfside_agent.services.shortage import insist
from wharfside_protocol.codec import decode
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.errors import NotFound
from wharfside_protocol.node_commands import CommandState
from wharfside_protocol.records import Record


class Commands:
    """Running commands in memory, all changing ones in the store; the Keeper of its calls."""

    def __init__(self, store: Store, clock: Clock, node: str) -> None:
        self.answers = Answers(clock, node)
        self._store = store
        self._clock = clock
        self._node = node
        self._running: dict[str, Call] = {}
        self._going_down = False
        self._admit: Callable[[str], None] = lambda _op: None
        self._audit: Callable[[Tx, CommandRow], None] = lambda _tx, _row: None

    def admit_by(self, admit: Callable[[str], None]) -> None:
        """`admit(op)` is asked before a new command is written down; it raises to refuse."""
        self._admit = admit

    def audit_by(self, audit: Callable[[Tx, CommandRow], None]) -> None:
        """`audit(tx, row)` is called in the transaction in which a command gets its result."""
        self._audit = audit

    def now(self) -> int:
        return self._clock.now()

    def new_call(self, command: Command) -> Call:
        actor = Actor(command.actor) if command.actor else NOBODY
        return Call(command, self._clock.now(), actor=actor, keeper=self)

    async def accept(self, call: Call) -> Call | Result:
        """`call` itself where it is new; the running one to join; or the stored result.

        Raises:
            Conflict: the id stands for another command.
            Busy: it is new, and the node cannot take it now.
        """
        if call.digest is None:
            call.digest = command_digest(call.command.op, call.command.args)
        running = self._running.get(call.id)
        if running is not None:
            check_same(call, running.command.op, running.digest)
            return running
        self.put(call)
        try:
            known = await self._store.transact(lambda tx: self._enter(tx, call))
            if known is None:
                return call
            check_same(call, known.op, known.digest)
        except Exception as error:
            # Whatever the store says: an id that stayed in the book would never be answered.
            self.leave(call, self.answers.failure(call, told(error).to_body()))
            raise
        stored = self.answers.to_repeat(known, call)
        self.leave(call, stored)
        return stored

    def leave(self, call: Call, result: Result) -> None:
        """The id is free in the book; whoever joined gets `result`."""
        self._running.pop(call.id, None)
        if call.outcome is not None and not call.outcome.done():
            call.outcome.set_result(result)

    def _enter(self, tx: Tx, call: Call) -> CommandRow | None:
        known = tx.command(call.id)
        if known is None:
            self._admit(call.command.op)
            tx.save_command(self.answers.row(call, CommandPhase.RUNNING))
        return known

    def save_done(self, tx: Tx, call: Call, result: Result) -> None:
        """The result, and with it the report of a durable command, in one transaction."""
        row = self.answers.row(call, CommandPhase.DONE, result)
        self._save(tx, row)
        self._audit(tx, row)

    def settle(self, tx: Tx, call: Call, value: Record) -> None:
        """See Keeper: what `call.settle` does."""
        call.result = self.answers.success(call, value)
        call.settled = True
        self.save_done(tx, call, call.result)

    def save_refused(self, tx: Tx, call: Call, result: Result) -> None:
        """As `save_done`, of what was no command, or not let in: nobody did anything."""
        self._save(tx, self.answers.row(call, CommandPhase.DONE, result))

    def _save(self, tx: Tx, row: CommandRow) -> None:
        tx.save_command(row)
        if row.durable:
            tx.report(result_report(row))

    def go_down(self) -> None:
        """Whoever only waits is answered now: the next life finishes it, and knows the rest."""
        self._going_down = True
        for call in list(self._running.values()):
            if call.only_waits:
                self.waits(call)

    def waits(self, call: Call) -> None:
        """See Keeper: what `call.leave_lane` does."""
        if self._going_down and call.outcome is not None:
            call.handed_on = True
            self.leave(call, self.answers.failure(call, going_down().to_body()))

    async def finish(self, call: Call, result: Result) -> None:
        """Stores the result, unless the change itself has done so, or a next life will."""
        try:
            if not call.settled and not (call.handed_on and was_canceled(result)):
                keep = partial(self._store.transact, lambda tx: self.save_done(tx, call, result))
                await insist(f"result of {call.id}", keep)
        finally:
            self.leave(call, result)

    async def adopt(self, command_id: str | None, *, op: str | None = None) -> Call | None:
        """A command that a former life left without a result, to be finished in this one.

        Until then a repeat joins it. None: it has its result, or nobody asked. A drain is
        the cause of many stops, and the result of none of them: it is adopted by its `op`.
        """
        if command_id is None or command_id in self._running:
            return None
        row = await self._store.transact(lambda tx: tx.command(command_id))
        if row is None or row.phase is CommandPhase.DONE:
            return None
        if row.op != op and (op is not None or row.op in ("drain", "migrate")):
            return None
        args = {} if row.container is None else {"container": row.container}
        call = self.enter(row, Command(id=row.id, op=row.op, node=self._node, args=args))
        call.begun = True
        return call

    def enter(self, row: CommandRow, command: Command) -> Call:
        """A command of the store into the book: from now on a repeat joins it."""
        call = Call(
            command,
            row.received_at,
            row.digest,
            # an older agent kept only the command itself
            row.given_by if row.actor else Actor(command.actor or ""),
            started_at=row.started_at,
            durable=row.durable,
            trace=row.trace,
            keeper=self,
        )
        return self.put(call)

    def put(self, call: Call) -> Call:
        """`call` is the one that has its id."""
        call.outcome = asyncio.get_running_loop().create_future()
        self._running[call.id] = call
        return call

    def running(self, command_id: str) -> Call | None:
        return self._running.get(command_id)

    async def begin(self, call: Call) -> None:
        """A durable command leaves the queue: on the disk, so that it is never begun twice."""
        call.started_at = self._clock.now()
        row = self.answers.row(call, CommandPhase.RUNNING)
        await self._store.transact(lambda tx: tx.save_command(row), durable=True)

    async def turn_away(self, call: Call, result: Result) -> None:
        """Answers `busy` and keeps nothing: a repeat under the same id is a new try."""
        try:
            await self._store.transact(lambda tx: self._forget(tx, call, result))
        finally:
            self.leave(call, result)

    def _forget(self, tx: Tx, call: Call, result: Result) -> None:
        """Unless it came over the mailbox too, just now: that one is acked."""
        if call.durable:
            self.save_done(tx, call, result)
        else:
            tx.forget_command(call.id)

    async def state_of(self, command_id: str) -> CommandState:
        """Where a changing command stands.

        Raises:
            NotFound: never seen, or forgotten (results are kept 48 h).
        """
        row = await self._store.transact(lambda tx: tx.command(command_id))
        if row is None:
            raise NotFound(
                f"no command {command_id} here: results are kept 48 h, and reads not at all"
            )
        result = None if row.result is None else decode(row.result, Result)
        return CommandState(command=row.id, op=row.op, state=str(row.phase), result=result)

    async def cancel(self, command_id: str) -> bool:
        """Cancels a command that waits, or runs where it may be interrupted.

        Raises:
            NotFound: as `state_of`.
        """
        call = self._running.get(command_id)
        if call is None:
            await self.state_of(command_id)
            return False
        if call.settled:
            return False
        if not call.begun:
            call.cancel_asked = True
        elif not call.interruptible:
            return False
        if call.task is not None and call.interruptible:
            call.cancel_asked = True
            call.task.cancel("canceled by command")
        return True

    async def close_unfinished(self) -> int:
        """Gives every command that a former life left running its error; how many.

        But for those that were adopted: they get their results.
        """
        adopted = frozenset(self._running)

        def change(tx: Tx) -> int:
            rows = [row for row in tx.unfinished_commands() if row.id not in adopted]
            for row in rows:
                done = self.answers.abandoned(row)
                self._save(tx, done)
                self._audit(tx, done)
            return len(rows)

        return await self._store.transact(change)
