"""stop: TERM (or the container's own signal), its grace, KILL; answers with the exit."""

from __future__ import annotations

from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.core.signals import signal_number
from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.views import standing
from wharfside_protocol.commands import StopArgs, WaitValue
from wharfside_protocol.errors import WrongState
from wharfside_protocol.event_facts import WhyNotRestarting
from wharfside_protocol.states import ContainerState


async def stop(node: Node, call: Call, args: StopArgs) -> WaitValue:
    """A container that is stopped already answers with its exit, as docker does.

    It is not started again by its policy: not now, nor from a backoff.
    """
    live = node.containers.find(args.container, call.command.expect)
    if _over(live):
        return await _stopped_already(node, live, call)
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
        return await _stopped_already(node, live, call)
    standing_then = standing(live.row)
    call.leave_lane()
    return WaitValue(**standing_then, exit=await node.endings.see_to_the_end(live, grace_s))


def _over(live: Live) -> bool:
    return live.row.state is ContainerState.STOPPED


async def _stopped_already(node: Node, live: Live, call: Call) -> WaitValue:
    await node.restarts.give_up(live, WhyNotRestarting.STOPPED, call.id)
    return WaitValue(**standing(live.row), exit=live.row.exit)
