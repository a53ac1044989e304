"""exec: one more process in a running container; waits for it unless told not to."""

from __future__ import annotations

import asyncio

import msgspec
from ulid import ULID

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.errors import told
from wharfside_agent.handlers.judged import for_exec
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.io import Carried
from wharfside_agent.ports.rows import Intent, ProcessRow
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.live import Live, LiveProcess, traced
from wharfside_agent.services.streams.attachments import Wish
from wharfside_agent.services.streams.process_io import Target
from wharfside_agent.services.views import standing
from wharfside_protocol.commands import CAPTURE_BYTES, ExecArgs, ExecValue, Output
from wharfside_protocol.errors import AlreadyExists, WharfsideError
from wharfside_protocol.event_facts import ExecAdded, Failed, Started
from wharfside_protocol.events import EventType
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.io_commands import Opening
from wharfside_protocol.states import ProcessState


async def exec_process(node: Node, call: Call, args: ExecArgs) -> ExecValue:
    live = for_exec(node, call, args)
    if args.open is not None:
        return await _opened(node, live, call, args, args.open)
    process = await _added(node, live, call, args)
    await _begun(node, live, process, call, args)
    call.leave_lane()
    if not args.wait:
        return ExecValue(**standing(live.row), process=process.row.process, pid=process.row.pid)
    call.interruptible = True
    status = await asyncio.shield(process.ended)
    return await _value(live, process, status)


async def _opened(
    node: Node, live: Live, call: Call, args: ExecArgs, opening: Opening
) -> ExecValue:
    """There is room for the session, or nothing is begun."""
    stdin = args.io.stdin and not args.io.fifo
    wish = Wish(opening, call.id, actor=call.actor.name or None, stdin=stdin, whole=True)
    begun: list[LiveProcess] = []

    async def make() -> Carried:
        process = await _added(node, live, call, args)
        await _begun(node, live, process, call, args)
        begun.append(process)
        return await node.attachments.attach(Target(live, process, process.row.run), wish)

    session = await node.sessions.open(opening, call.id, make)
    row = begun[0].row
    return ExecValue(**standing(live.row), process=row.process, pid=row.pid, session=session.view)


async def _added(node: Node, live: Live, call: Call, args: ExecArgs) -> LiveProcess:
    name = args.exec or f"exec-{str(ULID())[-12:].lower()}"
    if name in live.processes:
        raise AlreadyExists(f"{live.row.name} has a process {name} in this run: choose another id")
    row = ProcessRow(
        incarnation=live.row.incarnation,
        run=live.row.run,
        process=name,
        state=ProcessState.ADDED,
        spec=args.process,
        limit_s=args.timeout_s,
    )
    process = live.processes[name] = LiveProcess(row)
    intent = _intent(node, row, call)

    def journal(tx: Tx, _row: object) -> None:
        tx.save_process(row)
        tx.save_intent(intent)

    def runs_still() -> None:
        advance(live.row.state, Input.EXEC, live.row.name)

    data = ExecAdded(args=args.process.args)
    draft = node.containers.draft(live.row, EventType.EXEC_ADDED, data, process=name, cause=call.id)
    try:
        await node.containers.commit(live, [draft], also=journal, guard=runs_still)
    except WharfsideError:
        del live.processes[name]
        process.ended.cancel()
        raise
    node.journal.reached(Step.EXEC_INTENDED)
    return process


def _intent(node: Node, row: ProcessRow, call: Call) -> Intent:
    return Intent(
        incarnation=row.incarnation,
        op="exec",
        step=Step.EXEC_INTENDED,
        begun_at=node.clock.now(),
        command=call.id,
        process=row.process,
    )


async def _begun(node: Node, live: Live, process: LiveProcess, call: Call, args: ExecArgs) -> None:
    name = process.row.process
    started_at = node.clock.now()
    try:
        handle = await live.runtime.exec(name, args.process, args.io, args.size)
    except Exception as error:
        await _tell_failed(node, live, process, call, told(error))
        raise
    node.journal.reached(Step.EXEC_DONE)
    process.handle = handle
    running = msgspec.structs.replace(process.row, started_at=started_at)
    process.row = traced(running, handle, ProcessState.RUNNING)
    draft = node.containers.draft(
        live.row,
        EventType.EXEC_STARTED,
        Started(pid=handle.pid),
        process=name,
        occurred_at=started_at,
        cause=call.id,
    )

    def close(tx: Tx, _row: object) -> None:
        tx.save_process(process.row)
        tx.close_intent(live.row.incarnation, "exec", name)

    await node.containers.commit(live, [draft], also=close)
    node.journal.reached(Step.EXEC_COMMITTED)
    node.exits.follow_exec(live, process)


async def _tell_failed(
    node: Node, live: Live, process: LiveProcess, call: Call, error: WharfsideError
) -> None:
    name = process.row.process
    row = msgspec.structs.replace(process.row, state=ProcessState.EXITED)
    draft = node.containers.draft(
        live.row,
        EventType.START_FAILED,
        Failed(error=error.to_body()),
        process=name,
        cause=call.id,
    )

    def close(tx: Tx, _row: object) -> None:
        tx.save_process(row)
        tx.close_intent(live.row.incarnation, "exec", name)

    await node.containers.commit(live, [draft], also=close)
    del live.processes[name]
    process.ended.cancel()


async def _value(live: Live, process: LiveProcess, status: ExitStatus) -> ExecValue:
    output: Output | None = None
    if process.handle is not None:
        try:
            # In a thread: the head of a stream may lie behind megabytes of the other one.
            output = await asyncio.to_thread(process.handle.output, CAPTURE_BYTES)
        except FileNotFoundError:
            # Deleted between its exit and now; the exit itself is known.
            output = None
    row = process.row
    return ExecValue(
        **standing(live.row), process=row.process, pid=row.pid, exit=status, output=output
    )
