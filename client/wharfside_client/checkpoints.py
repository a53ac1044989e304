"""The ops on checkpoints of a node's containers."""

from __future__ import annotations

from typing import Unpack

from msgspec.structs import replace

from wharfside_client.calls import Options
from wharfside_client.ops import Ops
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

CHECKPOINT_S = 600.0
"""A container's memory is written and read within this, or `timeout_s` says how long it may take.

Past it the node undoes a checkpoint, and the container goes on.
"""


class CheckpointOps(Ops):
    """See `Node` for what every call takes and raises."""

    async def checkpoint(
        self,
        container: str,
        checkpoint: str,
        *,
        exit: bool = False,
        tcp: bool = False,
        unix_sockets: bool = False,
        shell: bool = False,
        file_locks: bool = False,
        pre_dump: bool = False,
        **options: Unpack[Options],
    ) -> CheckpointValue:
        """Keeps the life of a running container under a new name; with `exit` it ends with that.

        `wharfside_client.progress` tells the phases meanwhile; `cancel` undoes it.
        """
        _patient(options)
        args = CheckpointArgs(
            container=container,
            checkpoint=checkpoint,
            exit=exit,
            tcp=tcp,
            unix_sockets=unix_sockets,
            shell=shell,
            file_locks=file_locks,
            pre_dump=pre_dump,
        )
        return await self._call("checkpoint", args, CheckpointValue, options)

    async def checkpoints(
        self,
        container: str | None = None,
        *,
        incarnation: str | None = None,
        **options: Unpack[Options],
    ) -> CheckpointsValue:
        """All of the node, or of one container, oldest first."""
        args = CheckpointsArgs(container=container, incarnation=incarnation)
        value = await self._call("checkpoints", args, CheckpointsValue, options)
        found = list(value.checkpoints)
        while value.next is not None:
            args = replace(args, after=value.next)
            value = await self._call("checkpoints", args, CheckpointsValue, options)
            found += value.checkpoints
        return replace(value, checkpoints=found)

    async def delete_checkpoint(
        self,
        container: str,
        checkpoint: str,
        *,
        incarnation: str | None = None,
        **options: Unpack[Options],
    ) -> DeleteCheckpointValue:
        """With `incarnation`: also of a container that is deleted."""
        args = DeleteCheckpointArgs(
            container=container, incarnation=incarnation, checkpoint=checkpoint
        )
        return await self._call("delete-checkpoint", args, DeleteCheckpointValue, options)

    async def restore(
        self,
        container: str,
        checkpoint: str,
        *,
        source: str | None = None,
        incarnation: str | None = None,
        **options: Unpack[Options],
    ) -> StateValue:
        """A stopped container goes on in place; with `source` or `incarnation` as a new one."""
        _patient(options)
        args = RestoreArgs(
            container=container, checkpoint=checkpoint, source=source, incarnation=incarnation
        )
        return await self._call("restore", args, StateValue, options)


def _patient(options: Options) -> None:
    if not options.get("durable"):
        options.setdefault("timeout_s", CHECKPOINT_S)
