"""What a migration does with its container on the source; services.migration.ends.Leaving."""

from __future__ import annotations

import asyncio

from wharfside_agent.core.lifecycle import OVER, Input
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.images import Images
from wharfside_agent.ports.rows import Departure
from wharfside_agent.services.checkpoints.dumps import Checkpoints
from wharfside_agent.services.checkpoints.restores import Restores
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.endings import Endings
from wharfside_agent.services.life.live import Live
from wharfside_protocol.checkpoints import CheckpointArgs
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import Internal, NotFound
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.states import ContainerState
from wharfside_protocol.times import from_timestamp

ALIVE = frozenset({ContainerState.CREATED, ContainerState.RUNNING, ContainerState.PAUSED})


class LeavingContainer:
    def __init__(
        self,
        node: str,
        containers: Containers,
        checkpoints: Checkpoints,
        restores: Restores,
        endings: Endings,
        images: Images,
        lanes: Lanes,
        clock: Clock,
    ) -> None:
        self._node = node
        self._containers = containers
        self._checkpoints = checkpoints
        self._restores = restores
        self._endings = endings
        self._images = images
        self._lanes = lanes
        self._clock = clock

    async def dump(self, row: Departure) -> tuple[int, int]:
        """In the lane of the command that asked for it."""
        live = self._find(row)
        args = CheckpointArgs(
            container=row.container,
            checkpoint=row.checkpoint,
            exit=True,
            tcp=row.flags.tcp,
            unix_sockets=row.flags.unix_sockets,
            shell=row.flags.shell,
            file_locks=row.flags.file_locks,
            pre_dump=row.flags.pre_dump,
        )
        value = await self._checkpoints.take(live, self._call(row), args)
        if live.row.state is not ContainerState.MIGRATING:
            raise Internal(f"{row.container} is {live.row.state} after its last dump")
        frozen = value.checkpoint.timestamp
        frozen_at = self._clock.now() if frozen is None else from_timestamp(frozen)
        return frozen_at, value.checkpoint.bytes

    async def dumped(self, row: Departure) -> tuple[int, int] | None:
        """Recovery goes on with a checkpoint that was begun, and holds `settling` until then."""
        live = self._containers.get(row.container)
        if live is None or live.row.incarnation != row.incarnation:
            return None
        async with live.settling:
            ending = live.row.end_asked == ExitReason.CHECKPOINT and live.row.state not in OVER
        if ending:
            await asyncio.shield(live.init.ended)
        if live.row.state is not ContainerState.MIGRATING:
            return None
        outgoing = await self._images.outgoing(row.incarnation, row.checkpoint)
        exited = live.row.exit.exited_at if live.row.exit is not None else None
        return self._clock.now() if exited is None else from_timestamp(exited), outgoing.total

    async def stays(self, row: Departure) -> None:
        live = self._containers.get(row.container)
        if live is not None and live.row.moving == row.id:
            await self._containers.commit(live, changes={"moving": None})

    async def delete(self, row: Departure) -> None:
        ticket = await self._lanes.enter(row.container, patient=True)
        try:
            live = self._containers.get(row.container)
            if live is not None and live.row.incarnation == row.incarnation:
                moved = live.row.state is ContainerState.MIGRATING
                await self._endings.remove(live, cause=row.command, moved=moved)
        finally:
            ticket.release()
        await self._images.delete(row.incarnation, row.checkpoint)

    async def revive(self, row: Departure) -> None:
        ticket = await self._lanes.enter(row.container, patient=True)
        try:
            await self._revive(row)
        finally:
            ticket.release()
        await self._images.delete(row.incarnation, row.checkpoint)

    async def _revive(self, row: Departure) -> None:
        live = self._find(row)
        if self.lives(row) or _ran_again(live, row):
            return
        back = live.row.state is ContainerState.MIGRATING
        try:
            await self._restores.in_place(
                live,
                self._call(row),
                row.checkpoint,
                lambda _tx, _row: None,
                Input.RETURN if back else Input.RESTORE,
            )
        except BaseException:
            if live.row.state is ContainerState.MIGRATING:
                await self._containers.advance(live, Input.STRANDED, changes={"moving": None})
            raise

    def lives(self, row: Departure) -> bool:
        live = self._containers.get(row.container)
        if live is None or live.row.incarnation != row.incarnation:
            return False
        return live.row.state in ALIVE and live.row.run > row.run

    def _find(self, row: Departure) -> Live:
        live = self._containers.get(row.container)
        if live is None or live.row.incarnation != row.incarnation:
            raise NotFound(f"{row.container} is no longer on this node")
        return live

    def _call(self, row: Departure) -> Call:
        """Not in the book: the result of the command is the whole migration's."""
        now = self._clock.now()
        command = Command(
            id=row.command or row.id, op="migrate", node=self._node, deadline=row.deadline
        )
        return Call(command, now)


def _ran_again(live: Live, row: Departure) -> bool:
    """Restored in a former life of the agent, and over since."""
    return live.row.run > row.run and live.row.started_at is not None
