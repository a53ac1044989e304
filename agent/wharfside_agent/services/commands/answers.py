"""What a command is answered, and the row that is kept of it; nothing is stored here."""

from __future__ import annotations

import msgspec

from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import CommandPhase, CommandRow
from wharfside_agent.services.commands.call import Call
from wharfside_protocol.codec import decode, encode, to_plain
from wharfside_protocol.envelope import Result, Timings
from wharfside_protocol.errors import Busy, Canceled, Conflict, ErrorBody, ErrorCode, WharfsideError
from wharfside_protocol.records import Record
from wharfside_protocol.times import to_timestamp


class Answers:
    """Of this node, by this clock."""

    def __init__(self, clock: Clock, node: str) -> None:
        self._clock = clock
        self._node = node

    def row(self, call: Call, phase: CommandPhase, result: Result | None = None) -> CommandRow:
        """What the store keeps of `call` in this phase."""
        container = call.command.args.get("container")
        return CommandRow(
            id=call.id,
            op=call.command.op,
            digest=call.digest or "",
            phase=phase,
            received_at=call.received_at,
            result=None if result is None else encode(result),
            finished_at=None if result is None else self._clock.now(),
            durable=call.durable,
            container=container if isinstance(container, str) else None,
            command=encode(call.command) if phase is CommandPhase.ACCEPTED else None,
            trace=call.trace,
            started_at=call.started_at,
            error=None if result is None or result.error is None else str(result.error.code),
            actor=call.actor.name,
            role=call.actor.role,
            key=call.actor.key,
        )

    def success(self, call: Call, value: Record) -> Result:
        return self._result(call, ok=True, value=to_plain(value))

    def failure(self, call: Call, error: ErrorBody) -> Result:
        return self._result(call, ok=False, error=error)

    def _result(
        self,
        call: Call,
        *,
        ok: bool,
        value: dict[str, object] | None = None,
        error: ErrorBody | None = None,
    ) -> Result:
        started = call.started_at
        return Result(
            id=call.id,
            op=call.command.op,
            node=self._node,
            ok=ok,
            value=value,
            error=error,
            digest=call.digest,
            timings=Timings(
                received_at=to_timestamp(call.received_at),
                started_at=None if started is None else to_timestamp(started),
                finished_at=to_timestamp(self._clock.now()),
            ),
        )

    def to_repeat(self, known: CommandRow, call: Call) -> Result:
        """What the store has, or that the id is another's."""
        try:
            check_same(call, known.op, known.digest)
        except Conflict as error:
            return self.failure(call, error.to_body())
        if known.result is None:
            gone = Canceled("a former life of the agent ended while this ran", stage="running")
            return self.failure(call, gone.to_body())
        return msgspec.structs.replace(decode(known.result, Result), replayed=True)

    def abandoned(self, row: CommandRow) -> CommandRow:
        """The command that a former life left running, done, with its error."""
        error: WharfsideError = Canceled(
            "the agent died while this ran; what it had begun was finished or undone: "
            "inspect shows how it stands",
            stage="running",
        )
        now = self._clock.now()
        result = Result(
            id=row.id,
            op=row.op,
            node=self._node,
            ok=False,
            error=error.to_body(),
            digest=row.digest,
            timings=Timings(
                received_at=to_timestamp(row.received_at), finished_at=to_timestamp(now)
            ),
        )
        return msgspec.structs.replace(
            row,
            phase=CommandPhase.DONE,
            result=encode(result),
            finished_at=now,
            error=str(error.code),
        )


def going_down() -> Busy:
    """What is told to those who wait: the client's library asks again by itself."""
    return Busy("the agent goes down: ask its next life, under the same command id")


def was_canceled(result: Result) -> bool:
    return result.error is not None and result.error.code is ErrorCode.CANCELED


def check_same(call: Call, op: str, digest: str | None) -> None:
    """
    Raises:
        Conflict: `op` and `digest` are of another command, which has its id.
    """
    if call.digest != digest:
        raise Conflict(
            f"command id {call.id} was used for another {op}: give every command its own id"
        )
