"""wait: for the end of a process, at most 60 s a call; works on deleted ones for 24 h."""

from __future__ import annotations

import asyncio
from typing import Any

from wharfside_agent.handlers.lookup import Record, look_up
from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands import Call, going_down
from wharfside_agent.services.containers import Live
from wharfside_agent.services.views import standing
from wharfside_protocol.commands import CAPTURE_BYTES, Output, WaitArgs, WaitValue
from wharfside_protocol.errors import NotFound, WrongState


async def wait(node: Node, _call: Call, args: WaitArgs) -> WaitValue:
    found = await look_up(node, args)
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
    output = await _output(found, args) if status is not None and args.output else None
    return WaitValue(**standing(found.row), exit=status, output=output)


async def _output(live: Live, args: WaitArgs) -> Output | None:
    process = live.processes[args.process]
    if process.row.output is not None:
        return process.row.output
    try:
        # In a thread: the head of a stream may lie behind megabytes of the other one.
        if process.handle is not None:
            return await asyncio.to_thread(process.handle.output, CAPTURE_BYTES)
        return None
    except FileNotFoundError:
        # Auto-removed meanwhile: then its head was kept first.
        return live.processes[args.process].row.output


def _of_record(record: Record, args: WaitArgs) -> WaitValue:
    for row in record.processes:
        if row.process == args.process:
            return WaitValue(
                **standing(record.row),
                exit=row.exit,
                output=row.output if args.output else None,
            )
    raise NotFound(f"{args.container} had no process {args.process}")
