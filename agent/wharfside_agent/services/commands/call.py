"""One command on its way through the agent: what is known of it, from its bytes to its result."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from wharfside_agent.core.actors import NOBODY, Actor
from wharfside_agent.core.policy.rules import EVERYBODY
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.lanes import Ticket
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.records import Record


class Keeper(Protocol):
    """What a call tells the book that it is in."""

    def waits(self, call: Call) -> None:
        """It has acted: what is left of it a next life can do."""

    def settle(self, tx: Tx, call: Call, value: Record) -> None:
        """Its result is `value`, in the transaction of the change that it tells."""


@dataclass(slots=True)
class Call:
    """One command on its way through the agent.

    `interruptible`: it only waits now (for its lane, for an exit), so `cancel` may
    end it; an act of the runtime is never cut off half way. Until it is `begun`, that
    it was canceled (`cancel_asked`) is heeded when its turn comes. `only_waits`: it has
    acted, and what is left of it a next life can do; `handed_on`: that is so now.
    `outcome` is what a repeat that joins waits for, from the moment that the first is in
    the book. A read is never in the book: it has no digest. `durable`: what becomes of it
    is told on `res`, too. `actor` is who gave it, `rules` the name of the rules that are theirs.
    `keeper` is the book it is in; None of a read, and of what is only looked at.
    """

    command: Command
    received_at: int
    digest: str | None = None
    actor: Actor = NOBODY
    started_at: int | None = None
    ticket: Ticket | None = None
    result: Result | None = None
    task: asyncio.Task[Result] | None = None
    outcome: asyncio.Future[Result] | None = None
    settled: bool = False
    begun: bool = False
    interruptible: bool = False
    only_waits: bool = False
    handed_on: bool = False
    durable: bool = False
    trace: str | None = None
    cancel_asked: bool = False
    rules: str = EVERYBODY
    keeper: Keeper | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        return self.command.id

    def leave_lane(self) -> None:
        """What follows only waits: the next command of the container may run."""
        if self.ticket is not None:
            self.ticket.release()
        self.only_waits = True
        if self.keeper is not None:
            self.keeper.waits(self)

    def settle(self, tx: Tx, value: Record) -> None:
        """Stores the result in the transaction of the change that it tells."""
        if self.keeper is not None:
            self.keeper.settle(tx, self, value)
