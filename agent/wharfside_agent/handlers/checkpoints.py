"""checkpoint, checkpoints, delete-checkpoint, restore: a life kept, and gone on with."""

from __future__ import annotations

from collections.abc import Awaitable

from wharfside_agent.handlers.judged import incarnation_of
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.archive import Archive
from wharfside_agent.ports.images import Image
from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.checkpoints.manifests import view_of
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.views import state_value
from wharfside_protocol.checkpoints import (
    CheckpointArgs,
    CheckpointsArgs,
    CheckpointsValue,
    CheckpointValue,
    DeleteCheckpointArgs,
    DeleteCheckpointValue,
    RestoreArgs,
)
from wharfside_protocol.commands import StateValue
from wharfside_protocol.errors import WrongState
from wharfside_protocol.io_commands import (
    CheckpointFileValue,
    LoadCheckpointArgs,
    SaveCheckpointArgs,
)


async def checkpoint(node: Node, call: Call, args: CheckpointArgs) -> CheckpointValue:
    live = node.containers.find(args.container, call.command.expect)
    return await node.checkpoints.take(live, call, args)


async def checkpoints(node: Node, _call: Call, args: CheckpointsArgs) -> CheckpointsValue:
    incarnation = await incarnation_of(node, args.container, args.incarnation)
    return await node.shelf.listed(incarnation, args.after)


async def delete_checkpoint(
    node: Node, _call: Call, args: DeleteCheckpointArgs
) -> DeleteCheckpointValue:
    incarnation = await incarnation_of(node, args.container, args.incarnation)
    assert incarnation is not None  # a container is given
    _check_unneeded(node, incarnation, args.checkpoint)
    deleted = await node.shelf.delete(incarnation, args.checkpoint)
    return DeleteCheckpointValue(checkpoint=args.checkpoint, deleted=deleted)


def _check_unneeded(node: Node, incarnation: str, checkpoint: str) -> None:
    """Raises WrongState: a container on its way between two nodes goes on from it."""
    for moves in (node.departures, node.arrivals):
        if (migration := moves.needing(incarnation, checkpoint)) is not None:
            raise WrongState(
                f"checkpoint {checkpoint} is what migration {migration} moves: it goes when that "
                "is over (`wharfside migrations` tells how it stands)",
                state="migrating",
                migration=migration,
            )


async def save_checkpoint(node: Node, call: Call, args: SaveCheckpointArgs) -> CheckpointFileValue:
    incarnation = await incarnation_of(node, args.container, args.incarnation)
    assert incarnation is not None
    saved: list[Image] = []

    async def make() -> Archive:
        image, archive = await node.checkpoint_files.save(incarnation, args.checkpoint)
        saved.append(image)
        return archive

    session = await node.sessions.open(args.open, call.id, make)
    view = view_of(saved[0]) if saved else None
    return CheckpointFileValue(session=session.view, checkpoint=view)


async def load_checkpoint(node: Node, call: Call, args: LoadCheckpointArgs) -> CheckpointFileValue:
    def make() -> Awaitable[Archive]:
        return node.checkpoint_files.load(args.bytes, call.rules)

    session = await node.sessions.open(args.open, call.id, make)
    return CheckpointFileValue(session=session.view)


async def restore(node: Node, call: Call, args: RestoreArgs) -> StateValue:
    def also(tx: Tx, row: ContainerRow) -> None:
        call.settle(tx, state_value(row))

    name = args.checkpoint
    if args.in_place:
        live = node.containers.find(args.container, call.command.expect)
        return state_value(await node.restores.in_place(live, call, name, also))
    incarnation = await incarnation_of(node, args.source, args.incarnation)
    assert incarnation is not None
    row = await node.restores.as_new(args.container, incarnation, call, name, also)
    return state_value(row)
