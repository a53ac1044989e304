"""Goes on from a checkpoint: in place as the next run, or as a new container.

The image is verified to its last byte before anything is changed. `restored` is told instead of
`started`: no exit comes before it, and no run is told that CRIU refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.errors import told
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.images import Image, Layers
from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.ports.runtime import Planned, Runtime
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.checkpoints.manifests import layered, origin_of
from wharfside_agent.services.checkpoints.phases import Phases, Telling
from wharfside_agent.services.checkpoints.shelf import Shelf
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.life.births import Births
from wharfside_agent.services.life.capacity import Capacity, limits_of
from wharfside_agent.services.life.containers import Also, Containers
from wharfside_agent.services.life.exits import ExitTeller
from wharfside_agent.services.life.live import Live, traced
from wharfside_agent.services.life.starts import Starts
from wharfside_protocol.checkpoints import Phase, Restored
from wharfside_protocol.errors import Unsupported
from wharfside_protocol.event_facts import Created
from wharfside_protocol.events import EventType
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import ContainerSpec
from wharfside_protocol.states import ProcessState
from wharfside_protocol.views import RestoredFrom


class Restores:
    def __init__(
        self,
        containers: Containers,
        runtime: Runtime,
        shelf: Shelf,
        layers: Layers,
        births: Births,
        starts: Starts,
        capacity: Capacity,
        exits: ExitTeller,
        phases: Phases,
        clock: Clock,
        journal: Journal,
        layer_of: Callable[[str], Path],
    ) -> None:
        self._containers = containers
        self._runtime = runtime
        self._shelf = shelf
        self._layers = layers
        self._births = births
        self._starts = starts
        self._capacity = capacity
        self._exits = exits
        self._phases = phases
        self._clock = clock
        self._journal = journal
        self._layer_of = layer_of

    async def in_place(
        self, live: Live, call: Call, name: str, also: Also, input_: Input = Input.RESTORE
    ) -> ContainerRow:
        """The next run of a container that is over: stopped, or (`RETURN`) `migrating`.

        Raises:
            WrongState, NotFound, Invalid, Denied, Unsupported, Internal: nothing was changed.
            RuntimeFailed: told as the run's `start-failed`; it is stopped.
        """
        advance(live.row.state, input_, live.row.name)
        self._capacity.admit_again(live.row)
        with self._capacity.held(live.row.name, limits_of(live.row)):
            return await self._in_place(live, call, name, also, input_)

    async def check_in_place(self, live: Live, name: str) -> None:
        """Passes where `in_place` would find nothing to refuse. Raises as that does."""
        advance(live.row.state, Input.RESTORE, live.row.name)
        self._capacity.admit_again(live.row)
        async with self._checked(live.row.incarnation, name, live.row.rules):
            pass

    async def _in_place(
        self, live: Live, call: Call, name: str, also: Also, input_: Input
    ) -> ContainerRow:
        telling = self._phases.of(call)
        incarnation, rules = live.row.incarnation, live.row.rules
        async with self._checked(incarnation, name, rules, telling) as image:
            intent = msgspec.structs.replace(
                self._starts.intent(live.row, call.id, "rerun"), restored_from=origin_of(image)
            )
            await self._starts.clear(live, intent)
            await self._lay_again(live, image)
            anew = {"held": None, "restart": None, "moving": None}
            await self._starts.raise_run(live, anew, input_)
            telling.begin(Phase.RESTORING)
            async with live.settling:
                try:
                    await self._restore(live, image)
                except Exception as error:
                    await self._starts.tell_not_created(live, call.id, told(error))
                    raise
                row = await self.tell(live, origin_of(image), call.id, also)
        self._journal.reached(Step.RESTORE_COMMITTED)
        self._exits.follow(live)
        return row

    async def as_new(
        self, container: str, incarnation: str, call: Call, name: str, also: Also
    ) -> ContainerRow:
        """A new incarnation, that begins where another one was.

        Raises:
            AlreadyExists, NotFound, Invalid, Denied, Unsupported: nothing was changed.
            RuntimeFailed: told as `create-failed`; nothing is left.
        """
        telling = self._phases.of(call)
        async with self._checked(incarnation, name, call.rules, telling) as image:
            live = await self._intended(container, image, call)
            telling.begin(Phase.RESTORING)
            async with live.settling:
                try:
                    await self._lay(live, image)
                    await self._restore(live, image)
                except Exception as error:
                    await self._runtime.undo(live.plan)
                    await self._births.tell_failed(live, told(error), call.id)
                    raise
                row = await self.tell(live, origin_of(image), call.id, also)
        self._journal.reached(Step.RESTORE_COMMITTED)
        self._exits.follow(live)
        return row

    async def tell(
        self, live: Live, origin: RestoredFrom, cause: str | None, also: Also
    ) -> ContainerRow:
        """`restored`, of a new container after its `created`; also by a later life."""
        handle, row, now = live.runtime, live.row, self._clock.now()
        live.init.handle = handle.init
        traced_row = traced(live.init.row, handle.init, ProcessState.RUNNING)
        init = msgspec.structs.replace(traced_row, started_at=now)
        before = []
        if row.run == 1:
            created = Created(bundle=row.bundle, runtime=row.runtime, pid=handle.pid)
            before = [self._containers.draft(row, EventType.CREATED, created, cause=cause)]

        def close(tx: Tx, changed: ContainerRow) -> None:
            tx.save_process(init)
            tx.close_intents(changed.incarnation)
            also(tx, changed)

        changed = await self._containers.advance(
            live,
            Input.RESTORED,
            Restored(pid=handle.pid, restored_from=origin),
            changes={"pid": handle.pid, "started_at": now},
            occurred_at=now,
            cause=cause,
            before=before,
            also=close,
        )
        live.init.row = init
        return changed

    @asynccontextmanager
    async def _checked(
        self, incarnation: str, name: str, rules: str, telling: Telling | None = None
    ) -> AsyncIterator[Image]:
        """The whole image, which nobody deletes meanwhile, and which brings nothing but what
        `rules` allow: it may have been made elsewhere."""
        criu = self._runtime.criu
        if not criu.usable:
            raise Unsupported(f"this node cannot restore: {criu.says}")
        if telling is not None:
            telling.begin(Phase.CHECKING)
        progress = None if telling is None else telling.bytes
        async with self._shelf.held(incarnation, name, progress) as image:
            await self._runtime.check_image(image.folder, image.manifest.spec, rules)
            yield image

    async def _restore(self, live: Live, image: Image) -> None:
        live.handle = await self._runtime.restore(live.plan, image.folder, image.manifest.flags)
        self._journal.reached(Step.RESTORE_DONE)

    async def _intended(self, container: str, image: Image, call: Call) -> Live:
        manifest = image.manifest
        planned = replace(
            self._admitted(container, manifest.spec, call.rules), runtime=manifest.runtime
        )
        live = self._births.new(container, manifest.spec, planned, call.rules, origin_of(image))
        with self._containers.adding(live):
            await self._births.intend(live, call.id, Step.RESTORE_INTENDED)
        return live

    def _admitted(self, container: str, spec: ContainerSpec, rules: str) -> Planned:
        """Raises AlreadyExists, Denied, Invalid, NotFound, Unsupported: it cannot be made here."""
        planned = self._runtime.check(spec, rules)
        self._containers.check_free(container)
        self._capacity.admit(container, planned.limits, rules)
        return planned

    async def check_new(self, container: str, incarnation: str, name: str, rules: str) -> None:
        """Passes where `as_new` would find nothing to refuse. Raises as that does."""
        async with self._checked(incarnation, name, rules) as image:
            self._admitted(container, image.manifest.spec, rules)

    async def _lay(self, live: Live, image: Image) -> None:
        """The writable layer of a new container."""
        if layered(live.row):
            await self._layers.replace(self._layer_of(live.row.incarnation), image.folder)

    async def _lay_again(self, live: Live, image: Image) -> None:
        """As it was at the checkpoint: where that ended the last run, it still is."""
        ended_by = live.row.exit is not None and live.row.exit.reason is ExitReason.CHECKPOINT
        same = ended_by and image.manifest.flags.exit and image.manifest.run == live.row.run
        if same or not layered(live.row):
            return
        await self._layers.replace(self._layer_of(live.row.incarnation), image.folder)
