"""Is it a command of this node's, and one that can be run? The same for both ways in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from wharfside_agent.core.actors import Actor
from wharfside_agent.core.trust import Trust, claimed
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.rulebook import Rulebook
from wharfside_protocol import PROTOCOL_VERSION
from wharfside_protocol.codec import convert
from wharfside_protocol.commands import WaitArgs
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import MAX_DEADLINE_SECONDS, Command
from wharfside_protocol.errors import Denied, Invalid, Unsupported
from wharfside_protocol.ops import OPS, Op
from wharfside_protocol.records import Record
from wharfside_protocol.times import NANOSECONDS, from_timestamp


class Checked(NamedTuple):
    """A command that may be run. `remaining`: seconds to its deadline, by this node's clock."""

    op: Op
    args: Record
    call: Call
    remaining: float


class Intake:
    """`ops` are those that this agent has a handler for, `rules` who may ask for which."""

    def __init__(
        self,
        node: str,
        commands: Commands,
        ops: Collection[str],
        rules: Rulebook,
        trust: Trust | None = None,
    ) -> None:
        self._rules = rules
        self._node = node
        self._commands = commands
        self._ops = ops
        self._trust = trust or Trust()
        self._tell_denied: Callable[[Command, Actor, Denied], None] = lambda *_: None

    def trust_by(self, trust: Trust) -> None:
        """From the next command on."""
        self._trust = trust

    def on_denied(self, tell: Callable[[Command, Actor, Denied], None]) -> None:
        """`tell` hears of each command that is denied, and who is said to have given it."""
        self._tell_denied = tell

    def check(
        self, command: Command, op: str, default_s: float, headers: Mapping[str, str]
    ) -> Checked:
        """`op` is the subject's; `default_s` stands for a deadline that is left out.

        Raises:
            Unsupported: the version or the op.
            Invalid: another node's or op's envelope, the arguments, a deadline too far ahead.
            Denied: its signature proves nobody, or it needs one; or the node's policy does not
                allow its actor this op.
        """
        known = self._known(command, op)
        call = self._commands.new_call(command)
        try:
            call.actor = self._actor_of(call, known, headers)
        except Denied as denied:
            self._tell_denied(command, claimed(command, headers), denied)
            raise
        call.rules = self._rules_of(call)
        args = convert(command.args, known.args)
        default_s += waiting_s(args)
        return Checked(known, args, call, remaining(command, call.received_at, default_s))

    def _actor_of(self, call: Call, op: Op, headers: Mapping[str, str]) -> Actor:
        if not self._trust.looks_at(headers):
            return self._trust.unproven(call.actor, op)
        digest = command_digest(op.name, call.command.args)
        if op.changes:
            call.digest = digest
        return self._trust.proven(call.command, digest, headers, call.received_at)

    def _rules_of(self, call: Call) -> str:
        """The name of the rules that are its actor's, and allow its op."""
        try:
            return self._rules.admit(call.actor, call.command.op)
        except Denied as denied:
            self._tell_denied(call.command, call.actor, denied)
            raise

    def would_take(self, actor: Actor, op: Op) -> None:
        """For a command that is not given: by who asks, signed or not as the question was.

        Raises:
            Denied: `check` would not let it in.
        """
        self._rules.admit(self._trust.still(actor, op), op.name)

    def again(self, call: Call, default_s: float) -> Checked:
        """A command of the store, in a later life; `default_s` is counted from its arrival.

        Raises:
            as `check`: a later version of the agent, its policy or other settings, may be stricter.
        """
        command = call.command
        known = self._known(command, command.op)
        try:
            call.actor = self._trust.still(call.actor, known)
        except Denied as denied:
            self._tell_denied(command, call.actor, denied)
            raise
        call.rules = self._rules_of(call)
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


def waiting_s(args: Record) -> float:
    """What a read is asked to wait: left out, the deadline must not come before that is over."""
    return args.timeout_s if isinstance(args, WaitArgs) else 0.0


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
