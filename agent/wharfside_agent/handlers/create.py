"""create: journals the intent, lets the runtime make it, tells `created`."""

from __future__ import annotations

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input
from wharfside_agent.errors import told
from wharfside_agent.handlers.judged import for_create
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.containers import Also
from wharfside_agent.services.life.live import Live, traced
from wharfside_agent.services.views import create_value
from wharfside_protocol.commands import CreateArgs, CreateValue
from wharfside_protocol.event_facts import Created
from wharfside_protocol.states import ProcessState


async def create(node: Node, call: Call, args: CreateArgs) -> CreateValue:
    live = await make(node, call, args, lambda tx, row: call.settle(tx, create_value(row)))
    return create_value(live.row)


async def make(node: Node, call: Call, args: CreateArgs, also: Also) -> Live:
    """The whole of create; `also` joins the transaction that tells `created`.

    Raises:
        AlreadyExists, Invalid, Denied, Unsupported, NotFound: nothing was changed.
        RuntimeFailed: told as `create-failed`; nothing is left.
    """
    spec, planned = for_create(node, call, args)
    live = node.births.new(args.container, spec, planned, call.rules)
    with node.containers.adding(live):
        if args.stop_on_disconnect_s is not None:
            await node.heard.want()
        await node.births.intend(live, call.id, Step.CREATE_INTENDED)
    async with live.settling:
        try:
            live.handle = await node.runtime.create(live.plan)
        except Exception as error:
            await node.births.tell_failed(live, told(error), call.id)
            raise
        node.journal.reached(Step.CREATE_DONE)
        await _tell_created(node, live, call, also)
    node.journal.reached(Step.CREATE_COMMITTED)
    node.exits.follow(live)
    return live


async def _tell_created(node: Node, live: Live, call: Call, also: Also) -> None:
    handle = live.runtime
    live.init.handle = handle.init
    live.init.row = traced(live.init.row, handle.init, ProcessState.CREATED)

    def close(tx: Tx, row: ContainerRow) -> None:
        tx.save_process(live.init.row)
        tx.close_intent(row.incarnation, "create")
        also(tx, row)

    data = Created(bundle=live.row.bundle, runtime=live.row.runtime, pid=handle.pid)
    changes = {"pid": handle.pid}
    await node.containers.advance(
        live, Input.CREATED, data, changes=changes, cause=call.id, also=close
    )
