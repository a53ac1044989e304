"""Is it a command of this node's, and one that can be run? The same for both ways in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from wharfside_agent.services.commands.book import Call, Commands
from wharfside_protocol import PROTOCOL_VERSION
from wharfside_protocol.codec import convert
from wharfside_protocol.commands import OPS, Op
from wharfside_protocol.envelope import MAX_DEADLINE_SECONDS, Command
from wharfside_protocol.errors import Invalid, Unsupported
from wharfside_protocol.records import Record
from wharfside_protocol.times import NANOSECONDS, from_timestamp


@dataclass(frozen=True, slots=True)
class Checked:
    """A command that may be run. `remaining`: seconds to its deadline, by this node's clock."""

    op: Op
    args: Record
    call: Call
    remaining: float


class Intake:
    """`ops` are those that this agent has a handler for."""

    def __init__(self, node: str, commands: Commands, ops: Collection[str]) -> None:
        self._node = node
        self._commands = commands
        self._ops = ops

    def check(self, command: Command, op: str, default_s: float) -> Checked:
        """`op` is the subject's; `default_s` stands for a deadline that is left out.

        Raises:
            Unsupported: the version or the op.
            Invalid: another node's or op's envelope, the arguments, a deadline too far ahead.
        """
        known = self._known(command, op)
        args = convert(command.args, known.args)
        call = self._commands.new_call(command)
        return Checked(known, args, call, remaining(command, call.received_at, default_s))

    def again(self, call: Call, default_s: float) -> Checked:
        """A command of the store, in a later life; `default_s` is counted from its arrival.

        Raises:
            as `check`: a later version of the agent may be stricter.
        """
        command = call.command
        known = self._known(command, command.op)
        args = convert(command.args, known.args)
        waited = (self._commands.now() - call.received_at) / NANOSECONDS
        left = remaining(command, call.received_at, default_s) - waited
        return Checked(known, args, call, left)

    def _known(self, command: Command, op: str) -> Op:
        if command.v != PROTOCOL_VERSION:
            raise Unsupported(f"protocol version {command.v}: this node speaks {PROTOCOL_VERSION}")
        if command.node != self._node or command.op != op:
            raise Invalid(
                f"the envelope says {command.node}/{command.op}, "
                f"the subject says {self._node}/{op}: they must agree"
            )
        known = OPS.get(op)
        if known is None or op not in self._ops:
            raise Unsupported(f"no op {op!r} here: {', '.join(sorted(self._ops))}")
        return known


def remaining(command: Command, now: int, default_s: float) -> float:
    """Seconds from `now` to the command's deadline; negative where it has passed.

    Raises:
        Invalid: it is too far ahead.
    """
    if command.deadline is None:
        return default_s
    left = (from_timestamp(command.deadline) - now) / NANOSECONDS
    if left > MAX_DEADLINE_SECONDS:
        raise Invalid(f"deadline {left:.0f} s ahead: at most {MAX_DEADLINE_SECONDS} s")
    return left
