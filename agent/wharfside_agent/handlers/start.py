"""start: lets init run the user's program, tells `started` or `start-failed`."""

from __future__ import annotations

import signal

import msgspec

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.errors import told
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.store import ContainerRow, Intent, Tx
from wharfside_agent.services.commands import Call
from wharfside_agent.services.containers import Also, Live
from wharfside_agent.services.views import state_value
from wharfside_protocol.commands import ContainerArgs, StateValue
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.events import Failed, Started
from wharfside_protocol.states import ProcessState


async def start(node: Node, call: Call, args: ContainerArgs) -> StateValue:
    live = node.containers.find(args.container, call.command.expect)
    advance(live.row.state, Input.START, live.row.name)
    await node.store.transact(lambda tx: journal_start(tx, live.row, call, node.clock.now()))
    row = await let_run(node, live, call, lambda tx, row: call.settle(tx, state_value(row)))
    return state_value(row)


def journal_start(tx: Tx, row: ContainerRow, call: Call, now: int) -> None:
    """The intent of a start; `run` writes it in the transaction that tells `created`."""
    intent = Intent(
        incarnation=row.incarnation,
        op="start",
        step=Step.START_INTENDED,
        begun_at=now,
        command=call.id,
    )
    tx.save_intent(intent)


async def let_run(node: Node, live: Live, call: Call, also: Also) -> ContainerRow:
    """The start itself, its intent being journalled; `also` joins its transaction.

    Raises:
        RuntimeFailed: told as `start-failed`; the container is stopped.
    """
    node.journal.reached(Step.START_INTENDED)
    async with live.settling:
        started_at = node.clock.now()
        try:
            await live.runtime.start()
        except Exception as error:
            await _tell_refused(node, live, call, told(error))
            raise
        node.journal.reached(Step.START_DONE)
        row = await _tell_started(node, live, call, started_at, also)
    node.journal.reached(Step.START_COMMITTED)
    return row


async def _tell_started(
    node: Node, live: Live, call: Call, started_at: int, also: Also
) -> ContainerRow:
    init = msgspec.structs.replace(live.init.row, state=ProcessState.RUNNING, started_at=started_at)

    def close(tx: Tx, row: ContainerRow) -> None:
        tx.save_process(init)
        tx.close_intent(row.incarnation, "start")
        also(tx, row)

    row = await node.containers.advance(
        live,
        Input.START,
        Started(pid=live.runtime.pid),
        changes={"started_at": started_at},
        occurred_at=started_at,
        cause=call.id,
        also=close,
    )
    live.init.row = init
    return row


async def _tell_refused(node: Node, live: Live, call: Call, error: WharfsideError) -> None:
    """The container is stopped, and what waits in its init is killed; no exit is told."""
    await node.containers.advance(
        live,
        Input.START_REFUSED,
        Failed(error=error.to_body()),
        cause=call.id,
        also=lambda tx, row: tx.close_intent(row.incarnation, "start"),
    )
    live.init.ended.cancel()
    live.runtime.signal_all(signal.SIGKILL)
