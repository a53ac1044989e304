"""policy-check: whether another command of the same actor would be let in; it is not run."""

from __future__ import annotations

from dataclasses import replace

from wharfside_agent.handlers.judged import CHECKS
from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.call import Call
from wharfside_protocol.codec import convert
from wharfside_protocol.errors import Draining, Unsupported, WharfsideError
from wharfside_protocol.node_commands import PolicyCheckArgs, PolicyCheckValue
from wharfside_protocol.ops import OPS, Op


async def policy_check(node: Node, call: Call, args: PolicyCheckArgs) -> PolicyCheckValue:
    try:
        await _check(node, call, args)
    except WharfsideError as error:
        return PolicyCheckValue(op=args.op, allowed=False, rules=call.rules, error=error.to_body())
    return PolicyCheckValue(op=args.op, allowed=True, rules=call.rules)


async def _check(node: Node, call: Call, args: PolicyCheckArgs) -> None:
    """In the order in which the command itself would meet it."""
    op = OPS.get(args.op)
    if op is None:
        raise Unsupported(f"no op {args.op!r} here: {', '.join(sorted(OPS))}")
    node.intake.would_take(call.actor, op)
    wanted = convert(args.args, op.args)
    _not_draining(node, op)
    check = CHECKS.get(op.name)
    if check is not None:
        # a call of its own: what is checked must not reach the book through this one's id
        await check(node, replace(call, keeper=None), wanted)


def _not_draining(node: Node, op: Op) -> None:
    if op.new_work and node.drain.draining:
        raise Draining("this node drains and takes no new work: use another, or `undrain` it")
