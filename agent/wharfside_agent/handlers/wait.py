"""wait: for the end of a process, at most 60 s a call; works on what is over for 24 h."""

from __future__ import annotations

import asyncio
from typing import Any

from wharfside_agent.handlers.lookup import Record, look_up
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import ContainerRow, ProcessRow
from wharfside_agent.services.commands.answers import going_down
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.live import LiveProcess
from wharfside_agent.services.views import standing
from wharfside_protocol.commands import CAPTURE_BYTES, Output, WaitArgs, WaitValue
from wharfside_protocol.errors import NotFound, WrongState


async def wait(node: Node, _call: Call, args: WaitArgs) -> WaitValue:
    found = await look_up(node, args, args.run)
    if isinstance(found, Record):
        return _of_record(found, args)
    process = found.processes.get(args.process)
    if process is None:
        raise NotFound(f"{args.container} has no process {args.process}: see list-processes")
    first = asyncio.FIRST_COMPLETED
    either: set[asyncio.Future[Any]] = {process.ended, node.going_down}
    await asyncio.wait(either, timeout=args.timeout_s, return_when=first)
    if node.going_down.done() and not process.ended.done():
        raise going_down()
    if process.ended.cancelled():
        raise WrongState(f"{args.container}/{args.process} never ran: there is no exit to wait for")
    status = process.ended.result() if process.ended.done() else None
    wanted = status is not None and args.output
    output = await _output(process) if wanted else None
    return WaitValue(**_standing(found.row, process.row), exit=status, output=output)


def _standing(row: ContainerRow, process: ProcessRow) -> dict[str, Any]:
    """Of the run that was waited for: by now there may be a newer one."""
    return standing(row) | {"run": process.run}


async def _output(process: LiveProcess) -> Output | None:
    if process.row.output is not None:
        return process.row.output
    try:
        # In a thread: the head of a stream may lie behind megabytes of the other one.
        if process.handle is not None:
            return await asyncio.to_thread(process.handle.output, CAPTURE_BYTES)
        return None
    except FileNotFoundError:
        # Auto-removed meanwhile: then its head was kept first.
        return process.row.output


def _of_record(record: Record, args: WaitArgs) -> WaitValue:
    for row in record.processes:
        if row.process == args.process:
            if row.exit is None:
                raise WrongState(f"{args.container}/{args.process} never ran in run {row.run}")
            return WaitValue(
                **_standing(record.row, row),
                exit=row.exit,
                output=row.output if args.output else None,
            )
    run = "" if args.run is None else f" in run {args.run}, or its record is too old"
    raise NotFound(f"{args.container} had no process {args.process}{run}")
