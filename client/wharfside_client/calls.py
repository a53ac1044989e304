"""A command on its way: made, sent, sent again under the same id, its answer opened.

Every op may be repeated under its id: the node joins a repeat to the one that
runs, or answers it with the stored result. So a lost answer, a restarted agent
or a reconnect costs time, and never runs anything twice.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple, TypedDict

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_exponential,
    wait_random,
)

from wharfside_client.bus import Bus
from wharfside_client.durable import Posted
from wharfside_client.errors import (
    NodeUnreachable,
    NoResponders,
    ServerUnreachable,
    Unanswered,
    unanswered,
)
from wharfside_client.headers import headers_of
from wharfside_protocol.codec import decode, encode, to_plain
from wharfside_protocol.envelope import (
    DEFAULT_RPC_SECONDS,
    MAX_DEADLINE_SECONDS,
    Command,
    Expect,
    Result,
)
from wharfside_protocol.errors import Busy, Internal, from_body
from wharfside_protocol.records import Record
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import NANOSECONDS, to_timestamp

UNREACHABLE_S = 1.0
"""So long no agent may be heard (it restarts, interest spreads late) before the caller is told."""
FIRST_ATTEMPT_S = 10.0
LONGEST_ATTEMPT_S = 60.0
ANSWER_S = 1.0
"""A node tells that a deadline has passed when it has; its answer needs a little longer."""
LATEST_S = MAX_DEADLINE_SECONDS - 60
_REPEATED = (NodeUnreachable, Unanswered, ServerUnreachable, Busy)


class Options(TypedDict, total=False):
    """What every call takes besides its arguments.

    `command_id`: the idempotency key, made up where left out; a caller that keeps it
    may repeat the command later. `timeout_s`: how long the call may take (30).
    `deadline`: the latest start, RFC 3339, by the node's clock; where left out, the end
    of `timeout_s`. `expect`: the fence. `unreachable_s`: how long no agent may be
    there. `traceparent`: the W3C header, passed through.

    `durable`: over the node's mailbox, where the command is kept while the node is away;
    `timeout_s` is then how long to wait for the result (24 h), and not its deadline (24 h).
    `following`: makes the context in which the caller waits for that, once it is posted.
    """

    command_id: str
    timeout_s: float
    deadline: str
    expect: Expect
    unreachable_s: float
    traceparent: str
    durable: bool
    following: Callable[[Posted], AbstractContextManager[None]]


class Patience(NamedTuple):
    """How long a caller waits from `started` (monotonic) on, in seconds."""

    timeout_s: float
    unreachable_s: float
    started: float

    def spent(self, state: RetryCallState) -> bool:
        """tenacity's stop: the shorter bound holds while no agent is there at all."""
        error = state.outcome.exception() if state.outcome else None
        bound = self.timeout_s
        if isinstance(error, NodeUnreachable):
            bound = min(bound, self.unreachable_s)
        return time.monotonic() - self.started + state.upcoming_sleep > bound

    def attempt_s(self, number: int) -> float:
        """How long the attempt (from 0) may wait: doubled each time, within what is left."""
        longest: float = min(FIRST_ATTEMPT_S * 2**number, LONGEST_ATTEMPT_S)
        left: float = self.timeout_s - (time.monotonic() - self.started)
        return min(longest, max(left, 0.0) + ANSWER_S)


def new_command_id() -> str:
    """Unguessable, and good for 48 h of repeats."""
    return secrets.token_urlsafe(16)


def make_command(
    node: str, op: str, args: Record, actor: str | None, options: Options, *, signed: bool = False
) -> tuple[Command, Patience]:
    """The command and how long to wait for it. Of a signed one its key tells who gave it."""
    timeout_s = options.get("timeout_s", float(DEFAULT_RPC_SECONDS))
    command = Command(
        id=options.get("command_id") or new_command_id(),
        op=op,
        node=node,
        deadline=options.get("deadline") or _default_deadline(timeout_s, options, signed),
        expect=options.get("expect"),
        actor=None if signed else actor,
        args=to_plain(args),
    )
    unreachable_s = options.get("unreachable_s", UNREACHABLE_S)
    return command, Patience(timeout_s, unreachable_s, time.monotonic())


def _default_deadline(timeout_s: float, options: Options, signed: bool) -> str | None:
    """The end of the caller's patience. A durable command's is the node's own, 24 h, which a
    signed one must name."""
    if options.get("durable"):
        return latest_deadline() if signed else None
    return deadline_in(min(timeout_s, LATEST_S))


def latest_deadline() -> str:
    """As far ahead as the node allows, less a minute, for clocks that differ."""
    return deadline_in(LATEST_S)


def deadline_in(seconds: float) -> str:
    """The latest start as a command has it, RFC 3339, so far ahead of this side's clock."""
    return to_timestamp(time.time_ns() + int(seconds * NANOSECONDS))


async def send(
    bus: Bus, subjects: Subjects, command: Command, patience: Patience, traceparent: str | None
) -> Result:
    """The node's answer, whatever it says; repeated until there is one or patience ends.

    Raises:
        NodeUnreachable: no such agent is connected; nothing was done.
        Unanswered: no answer in time; it may have been done.
        ServerUnreachable, Denied: see `Bus.request`.
        Busy: the node still has too much to do. (One that it found out once the command had
            begun, as of a quota, is a result like any other.)
        Invalid: the command is too large.
    """
    subject, data = subjects.rpc(command.node, command.op), encode(command)
    headers = headers_of(bus, command, traceparent)
    ask = partial(_once, bus, command, subject, data, headers)
    try:
        # by itself: tenacity costs a fifth of a whole round trip
        return await ask(patience.attempt_s(0))
    except _REPEATED as error:
        return await _again(ask, patience, error, subject)


async def _again(
    ask: Callable[[float], Awaitable[Result]], patience: Patience, first: Exception, subject: str
) -> Result:
    """After the `first` try's error. Busy, too, may mean that it was taken: an agent that goes
    down says so of what its next life will finish."""
    perhaps_taken = not isinstance(first, NodeUnreachable)
    numbers = itertools.count(1)

    async def repeat() -> Result:
        nonlocal perhaps_taken
        try:
            return await ask(patience.attempt_s(next(numbers)))
        except (Unanswered, ServerUnreachable, Busy):
            perhaps_taken = True
            raise
        except NodeUnreachable as error:
            if not perhaps_taken:
                raise
            # an agent had it and is gone now: it may be done, and the next life will tell
            raise unanswered(subject, patience.timeout_s) from error

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(_REPEATED),
        wait=wait_exponential(multiplier=0.05, max=1.0) + wait_random(0, 0.05),
        stop=patience.spent,
        reraise=True,
    )
    return await retrying(repeat)


async def _once(
    bus: Bus,
    command: Command,
    subject: str,
    data: bytes,
    headers: dict[str, str] | None,
    timeout_s: float,
) -> Result:
    try:
        answer = await bus.request(subject, data, timeout_s, headers)
    except NoResponders as error:
        raise NodeUnreachable(
            f"no agent of node {command.node} is connected; check the name with "
            "`wharfside nodes`, and that the agent runs and reaches this NATS server",
            node=command.node,
        ) from error
    result = decode(answer.data, Result)
    asked = (command.id, command.op, command.node)
    if result.ok and (result.id, result.op, result.node) != asked:
        raise Internal(f"node {result.node} answered {result.op} {result.id} to {command.id}")
    # one that is replayed was kept, and stays what it is however often the command comes
    if result.error is not None and result.error.code == Busy.code and not result.replayed:
        raise from_body(result.error)
    return result
