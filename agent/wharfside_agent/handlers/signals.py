"""signal: to init or one exec; never waits in a lane, so that it always gets through."""

from __future__ import annotations

from wharfside_agent.core.journal import Step, signal_intent
from wharfside_agent.core.signals import signal_number
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import Intent
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.live import Live, LiveProcess
from wharfside_agent.services.life.signals import signal_target, tell_signal
from wharfside_agent.services.views import state_value
from wharfside_protocol.commands import SignalArgs, StateValue
from wharfside_protocol.errors import NotFound


async def signal_process(node: Node, call: Call, args: SignalArgs) -> StateValue:
    live = node.containers.find(args.container, call.command.expect)
    number = signal_number(args.signal)
    process = signal_target(live, args.process)
    await _tell(node, live, process, number, call)
    node.journal.reached(Step.SIGNAL_INTENDED)
    assert process.handle is not None  # signal_target refuses one without
    try:
        process.handle.signal(number)
    except NotFound:
        await node.store.transact(lambda tx: _close(tx, live, process, call))
        raise
    node.journal.reached(Step.SIGNAL_SENT)

    def settle(tx: Tx) -> None:
        _close(tx, live, process, call)
        call.settle(tx, state_value(live.row))

    await node.store.transact(settle)
    return state_value(live.row)


def _close(tx: Tx, live: Live, process: LiveProcess, call: Call) -> None:
    tx.close_intent(live.row.incarnation, signal_intent(call.id), process.row.process)


async def _tell(node: Node, live: Live, process: LiveProcess, number: int, call: Call) -> None:
    """The intent is its own: signals pass each other by, and one that an agent died with must be
    sent by the next.
    """
    intent = Intent(
        incarnation=live.row.incarnation,
        op=signal_intent(call.id),
        step=Step.SIGNAL_INTENDED,
        begun_at=node.clock.now(),
        command=call.id,
        process=process.row.process,
        signal=number,
    )
    await tell_signal(node.containers, live, process, number, call.id, intent)
