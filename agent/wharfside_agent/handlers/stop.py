"""stop: TERM (or the container's own signal), its grace, KILL; answers with the exit."""

from __future__ import annotations

from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.core.signals import signal_number
from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands import Call
from wharfside_agent.services.containers import Live
from wharfside_agent.services.views import standing
from wharfside_protocol.commands import StopArgs, WaitValue
from wharfside_protocol.errors import WrongState
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.states import ContainerState


async def stop(node: Node, call: Call, args: StopArgs) -> WaitValue:
    """A container that is stopped already answers with its exit, as docker does."""
    live = node.containers.find(args.container, call.command.expect)
    if _over(live):
        return _value(live, live.row.exit)
    advance(live.row.state, Input.STOP, live.row.name)
    spec = live.row.spec
    number = signal_number(args.signal or spec.stop_signal)
    grace_s = spec.grace_s if args.grace_s is None else args.grace_s
    try:
        await node.endings.ask_to_stop(live, number, grace_s, call.id)
    except WrongState:
        if not _over(live):
            raise
        # It ended by itself in this very moment.
        return _value(live, live.row.exit)
    call.leave_lane()
    return _value(live, await node.endings.see_to_the_end(live, grace_s))


def _over(live: Live) -> bool:
    return live.row.state is ContainerState.STOPPED


def _value(live: Live, status: ExitStatus | None) -> WaitValue:
    return WaitValue(**standing(live.row), exit=status)
