"""The same call to several containers: each told by itself, one failure is nobody else's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wharfside_client.cli import exitcodes
from wharfside_client.cli.lane import LaneFlags
from wharfside_client.cli.output import error_body
from wharfside_client.cli.parse import Target
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.client import Wharfside
    from wharfside_client.node import Node
    from wharfside_protocol.errors import WharfsideError

AT_ONCE = 32

Call = Callable[["Node", str], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target: a value, or the error."""

    target: Target
    value: Any = None
    error: WharfsideError | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of each target, in the order named. `forgiven`: told, and no failure."""

    all: Sequence[Outcome]
    forgiven: tuple[type[WharfsideError], ...] = ()

    @property
    def found(self) -> list[tuple[Target, Any]]:
        return [(o.target, o.value) for o in self.all if o.error is None]

    @property
    def status(self) -> int:
        """That of the last failure."""
        told = [o.error for o in self.all if o.error is not None]
        errors = [error for error in told if not isinstance(error, self.forgiven)]
        return exitcodes.of_error(errors[-1], runs=False) if errors else exitcodes.OK

    def tell_failures(self, session: Session) -> int:
        for outcome in self.all:
            if outcome.error is not None:
                session.output.warn(f"{outcome.target}: {outcome.error.message}")
        return self.status


async def ask_each(
    session: Session, targets: Sequence[Target], call: Call, lane: LaneFlags | None = None
) -> Outcomes:
    """Calls each, at most AT_ONCE at a time. With --no-wait what is posted is a success."""
    import asyncio

    from wharfside_client.errors import Pending
    from wharfside_protocol.errors import WharfsideError

    no_wait = lane is not None and lane.no_wait

    turn = asyncio.Semaphore(AT_ONCE)

    async def one(w: Wharfside, target: Target) -> Outcome:
        async with turn:
            try:
                return Outcome(target, await call(w.node(target.node), target.container))
            except WharfsideError as error:
                if no_wait and isinstance(error, Pending):
                    return Outcome(target, {"command": error.details["command"]})
                return Outcome(target, error=error)

    async with session.connect() as w:
        return Outcomes(await asyncio.gather(*(one(w, target) for target in targets)))


async def each(
    session: Session,
    targets: Sequence[Target],
    call: Call,
    tell: Callable[[Target, Any], str] = lambda target, _value: str(target),
    lane: LaneFlags | None = None,
    forgiven: tuple[type[WharfsideError], ...] = (),
) -> int:
    """Calls each and prints a line of each success."""
    outcomes = replace(await ask_each(session, targets, call, lane), forgiven=forgiven)
    if session.output.json:
        return tell_json(session, outcomes)
    for target, value in outcomes.found:
        posted = lane is not None and lane.no_wait and isinstance(value, dict)
        session.output.line(f"{target} {value['command']}" if posted else tell(target, value))
    return outcomes.tell_failures(session)


def tell_json(session: Session, outcomes: Outcomes) -> int:
    """One list, of `value` or `error` for each target."""
    session.output.document([_entry(outcome) for outcome in outcomes.all])
    return outcomes.status


def _entry(outcome: Outcome) -> dict[str, Any]:
    named = {"node": outcome.target.node, "container": outcome.target.container}
    if outcome.error is not None:
        return {**named, "error": error_body(outcome.error)}
    return {**named, "value": outcome.value}
