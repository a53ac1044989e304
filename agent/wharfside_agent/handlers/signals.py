"""signal: to init or one exec; never waits in a lane, so that it always gets through."""

from __future__ import annotations

import signal

import msgspec

from wharfside_agent.core.journal import Step, signal_intent
from wharfside_agent.core.signals import signal_number
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.store import Intent, Tx
from wharfside_agent.services.commands import Call
from wharfside_agent.services.containers import Live, LiveProcess
from wharfside_agent.services.views import state_value
from wharfside_protocol.commands import SignalArgs, StateValue
from wharfside_protocol.errors import NotFound, WrongState
from wharfside_protocol.events import EventType, Signaled, WhyNotRestarting
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.states import ContainerState


async def signal_process(node: Node, call: Call, args: SignalArgs) -> StateValue:
    live = node.containers.find(args.container, call.command.expect)
    number = signal_number(args.signal)
    process = _target(live, args.process)
    await _tell(node, live, process, number, call)
    node.journal.reached(Step.SIGNAL_INTENDED)
    assert process.handle is not None  # _target refuses one without
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


def _target(live: Live, name: str) -> LiveProcess:
    process = live.processes.get(name)
    if process is None:
        raise NotFound(f"{live.row.name} has no process {name}: see list-processes")
    alive = live.row.state in (ContainerState.RUNNING, ContainerState.PAUSED)
    if not alive or process.handle is None or process.row.exit is not None:
        raise WrongState(
            f"{live.row.name}/{name} does not run: there is nothing to signal",
            state=str(live.row.state),
        )
    return process


async def _tell(node: Node, live: Live, process: LiveProcess, number: int, call: Call) -> None:
    """Before it is sent: an end that it causes must know of it.

    The intent is its own: signals pass each other by, and one that an agent died with must be sent
    by the next.
    """
    name = process.row.process
    data = Signaled(signal=number)
    draft = node.containers.draft(live.row, EventType.SIGNALED, data, process=name, cause=call.id)

    def ask() -> None:
        """It may have ended while other changes were committed: then nothing is told."""
        row = _target(live, name).row
        if row.end_asked is None:
            process.row = msgspec.structs.replace(row, end_asked=str(ExitReason.KILL))

    intent = Intent(
        incarnation=live.row.incarnation,
        op=signal_intent(call.id),
        step=Step.SIGNAL_INTENDED,
        begun_at=node.clock.now(),
        command=call.id,
        process=name,
        signal=number,
    )

    def also(tx: Tx, _container: object) -> None:
        tx.save_process(process.row)
        tx.save_intent(intent)

    changes = {"held": WhyNotRestarting.STOPPED} if _ends(live, process, number) else {}
    await node.containers.commit(live, [draft], changes=changes, also=also, guard=ask)


def _ends(live: Live, process: LiveProcess, number: int) -> bool:
    """It asks the container to end, as a stop does: then no policy starts it again."""
    asks = number in (signal.SIGKILL, signal_number(live.row.spec.stop_signal))
    return asks and process is live.init
