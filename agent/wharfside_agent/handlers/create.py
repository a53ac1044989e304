"""create: journals the intent, lets the runtime make it, tells `created`."""

from __future__ import annotations

from ulid import ULID

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input
from wharfside_agent.errors import told
from wharfside_agent.handlers.judged import for_create
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import ContainerRow, Intent, ProcessRow
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.containers import Also, Live, LiveProcess, traced
from wharfside_agent.services.views import create_value
from wharfside_protocol.commands import CreateArgs, CreateValue
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.event_facts import Created, Failed
from wharfside_protocol.states import INIT, ContainerState, ProcessState


async def create(node: Node, call: Call, args: CreateArgs) -> CreateValue:
    live = await make(node, call, args, lambda tx, row: call.settle(tx, create_value(row)))
    return create_value(live.row)


async def make(node: Node, call: Call, args: CreateArgs, also: Also) -> Live:
    """The whole of create; `also` joins the transaction that tells `created`.

    Raises:
        AlreadyExists, Invalid, Denied, Unsupported, NotFound: nothing was changed.
        RuntimeFailed: told as `create-failed`; nothing is left.
    """
    live = _intended(node, call, args)
    node.containers.add(live)
    try:
        if args.stop_on_disconnect_s is not None:
            await node.heard.want()
        intent = Intent(
            incarnation=live.row.incarnation,
            op="create",
            step=Step.CREATE_INTENDED,
            begun_at=live.row.created_at,
            command=call.id,
        )
        await node.store.transact(lambda tx: _journal(tx, live.row, intent))
    except BaseException:
        node.containers.drop(live)
        raise
    node.journal.reached(Step.CREATE_INTENDED)
    async with live.settling:
        try:
            live.handle = await node.runtime.create(live.plan)
        except Exception as error:
            await _tell_failed(node, live, call, told(error))
            raise
        node.journal.reached(Step.CREATE_DONE)
        await _tell_created(node, live, call, also)
    node.journal.reached(Step.CREATE_COMMITTED)
    node.exits.follow(live)
    return live


def _intended(node: Node, call: Call, args: CreateArgs) -> Live:
    spec, planned = for_create(node, call, args)
    incarnation = str(ULID())
    row = ContainerRow(
        name=args.container,
        incarnation=incarnation,
        run=1,
        revision=1,
        state=ContainerState.CREATING,
        spec=spec,
        runtime=planned.runtime,
        bundle=node.bundle_of(incarnation, 1),
        cgroup=node.cgroup_of(incarnation),
        created_at=node.clock.now(),
        rules=call.rules,
        limits=planned.limits,
    )
    init = ProcessRow(
        incarnation=incarnation, run=1, process=INIT, state=ProcessState.ADDED, spec=spec.process
    )
    return Live(row, {INIT: LiveProcess(init)})


def _journal(tx: Tx, row: ContainerRow, intent: Intent) -> None:
    tx.save_container(row)
    tx.save_intent(intent)


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


async def _tell_failed(node: Node, live: Live, call: Call, error: WharfsideError) -> None:
    await node.containers.advance(
        live,
        Input.CREATE_FAILED,
        Failed(error=error.to_body()),
        changes={"deleted_at": node.clock.now()},
        cause=call.id,
        also=lambda tx, row: tx.close_intent(row.incarnation, "create"),
    )
    node.containers.drop(live)
