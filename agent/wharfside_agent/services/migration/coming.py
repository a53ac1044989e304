"""What a migration does with its container on the target; services.migration.ends.Coming."""

from __future__ import annotations

import msgspec

from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.images import Image
from wharfside_agent.ports.rows import Arrival, ContainerRow
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.checkpoints.restores import Restores
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.endings import Endings
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import Invalid


class ComingContainer:
    def __init__(
        self,
        node: str,
        store: Store,
        containers: Containers,
        restores: Restores,
        endings: Endings,
        lanes: Lanes,
        clock: Clock,
    ) -> None:
        self._node = node
        self._store = store
        self._containers = containers
        self._restores = restores
        self._endings = endings
        self._lanes = lanes
        self._clock = clock

    async def fits(self, row: Arrival, image: Image) -> None:
        """The caller has said what may run here; the source does not."""
        if image.manifest.spec != row.spec:
            raise Invalid(
                f"{row.source} sent another container than the one that was announced: its spec "
                "differs"
            )

    async def restore(self, row: Arrival) -> Arrival:
        assert row.image is not None
        incarnation, name = row.image
        command = Command(id=row.id, op="receive", node=self._node)
        call = Call(command, self._clock.now(), rules=row.rules)
        ticket = await self._lanes.enter(row.container, patient=True)
        try:
            made = await self._restores.as_new(
                row.container, incarnation, call, name, lambda _tx, _row: None
            )
        finally:
            ticket.release()
        return msgspec.structs.replace(row, incarnation=made.incarnation, run=made.run)

    async def found(self, row: Arrival) -> Arrival | None:
        """By the store: what a former life had restored was told by recovery, or is undone."""
        made = await self._store.transact(lambda tx: _made(tx, row))
        if made is None:
            return None
        return msgspec.structs.replace(row, incarnation=made.incarnation, run=made.run)

    async def end(self, row: Arrival) -> None:
        found = row if row.incarnation is not None else await self.found(row)
        ticket = await self._lanes.enter(row.container, patient=True)
        try:
            live = self._containers.get(row.container)
            if live is None or found is None or live.row.incarnation != found.incarnation:
                return
            await self._endings.force(live, row.id)
            await self._endings.remove(live, cause=row.id)
        finally:
            ticket.release()


def _made(tx: Tx, row: Arrival) -> ContainerRow | None:
    made = tx.last_of_name(row.container)
    if made is None or made.restored_from is None or made.started_at is None:
        return None
    return made if made.restored_from.digest == row.digest else None
