"""Checkpoints of running containers: taken whole or not at all.

The container is frozen, dumped and, with `exit`, killed only once its image is on the disk under
its name and that is committed: whatever fails or dies before, it is thawed and goes on. Established
connections are the exception: a kernel whose sockets are closed would tell their peers. There CRIU
itself ends the processes behind its network lock, as the last act of the dump.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from wharfside_agent.core import lifecycle
from wharfside_agent.core.journal import Step
from wharfside_agent.errors import told
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.images import Image, ImageDraft, Images, Layers, Progress
from wharfside_agent.ports.rows import Intent
from wharfside_agent.ports.runtime import Dump, Runtime
from wharfside_agent.ports.store import Store
from wharfside_agent.services.checkpoints.bounds import in_time, past_recall, to_its_end
from wharfside_agent.services.checkpoints.fitness import check_fit, check_state
from wharfside_agent.services.checkpoints.manifests import Here, flags_of, layered, manifest_of
from wharfside_agent.services.checkpoints.outcomes import Outcomes
from wharfside_agent.services.checkpoints.phases import Phases, Telling
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.life.endings import Endings
from wharfside_agent.services.life.live import Live
from wharfside_protocol.checkpoints import CheckpointArgs, CheckpointValue, Phase
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.migration import MigrateArgs
from wharfside_protocol.times import to_timestamp

log = structlog.get_logger(__name__)

PRE_DUMP = "pre-dump"
"""Its folder in an image, beside CRIU's last one."""


@dataclass(slots=True)
class _Taking:
    """One checkpoint on its way."""

    live: Live
    call: Call
    args: CheckpointArgs
    draft: ImageDraft
    phases: Telling
    identity: str | None = None
    parent: str | None = None
    frozen_at: int | None = None
    stood_still_us: int = 0
    dumped: bool = False

    @property
    def by_criu(self) -> bool:
        """CRIU ends the processes."""
        return self.args.exit and self.args.tcp


class Checkpoints:
    def __init__(
        self,
        store: Store,
        outcomes: Outcomes,
        runtime: Runtime,
        images: Images,
        layers: Layers,
        endings: Endings,
        phases: Phases,
        clock: Clock,
        journal: Journal,
        here: Here,
        layer_of: Callable[[str], Path],
    ) -> None:
        self._store = store
        self._outcomes = outcomes
        self._runtime = runtime
        self._images = images
        self._layers = layers
        self._endings = endings
        self._phases = phases
        self._clock = clock
        self._journal = journal
        self._here = here
        self._layer_of = layer_of

    async def take(self, live: Live, call: Call, args: CheckpointArgs) -> CheckpointValue:
        """The whole of it; with `exit` also the container's end.

        Raises:
            Unsupported, WrongState, AlreadyExists, Busy: nothing was done.
            RuntimeFailed, Canceled, DeadlineExceeded, ...: told as `checkpoint-failed`. The
                container goes on, and no image is left.
        """
        self.check(live, args)
        row = live.row
        expected = _memory_bytes(live)
        draft = await self._images.draft(row.incarnation, args.checkpoint, expected)
        taking = _Taking(live, call, args, draft, self._phases.of(call))
        try:
            async with in_time(call, self._clock.now()):
                await self._prepare(taking)
                async with live.settling:
                    value = await self._frozen(taking)
        except BaseException as error:
            await asyncio.shield(draft.discard())
            if isinstance(error, WharfsideError | asyncio.CancelledError):
                raise
            raise told(error) from error  # type: ignore[arg-type]
        self._journal.reached(Step.CHECKPOINT_COMMITTED)
        if args.exit:
            await to_its_end(self.end(live))
        return value

    async def end(self, live: Live) -> None:
        """The end of one whose last checkpoint is committed; also in a later life."""
        if live.row.state not in lifecycle.OVER:
            await self._endings.kill(live)

    def check(self, live: Live, args: CheckpointArgs | MigrateArgs) -> None:
        """Raises Unsupported, WrongState: it cannot be checkpointed now."""
        check_fit(live, args, self._runtime.criu)

    async def _prepare(self, taking: _Taking) -> None:
        """While it runs: what is known of its files, and what of its memory can be written now."""
        live, args = taking.live, taking.args
        taking.call.interruptible = True
        rootfs = live.row.spec.source.rootfs
        if rootfs is not None:
            taking.identity = await self._layers.identity(Path(rootfs))
        intent = Intent(
            incarnation=live.row.incarnation,
            op="checkpoint",
            step=Step.CHECKPOINT_INTENDED,
            begun_at=self._clock.now(),
            command=taking.call.id,
            checkpoint=args.checkpoint,
            flags=flags_of(args),
            folder=str(taking.draft.folder),
        )
        await self._store.transact(lambda tx: tx.save_intent(intent))
        self._journal.reached(Step.CHECKPOINT_INTENDED)

    async def _frozen(self, taking: _Taking) -> CheckpointValue:
        """Settling: no exit is told before it is known whether the checkpoint has caused it."""
        live = taking.live
        try:
            if taking.args.pre_dump:
                taking.phases.begin(Phase.PRE_DUMPING)
                await to_its_end(live.runtime.pre_dump(taking.draft.folder, PRE_DUMP))
                taking.parent = PRE_DUMP
            image = await self._written(taking)
            taking.call.interruptible = False
            frozen_us = taking.stood_still_us or self._stood_still(taking)
            return await past_recall(
                self._outcomes.taken(live, image, frozen_us, taking.call.id, taking.call)
            )
        except BaseException as error:
            await to_its_end(self._undo(taking, error))
            raise

    async def _written(self, taking: _Taking) -> Image:
        live, args, draft = taking.live, taking.args, taking.draft
        check_state(live)
        taking.phases.begin(Phase.FREEZING)
        taking.frozen_at = self._clock.now()
        if not taking.by_criu:
            await to_its_end(live.runtime.freeze())
        self._journal.reached(Step.CHECKPOINT_FROZEN)
        taking.phases.begin(Phase.DUMPING)
        dump = Dump(
            draft.folder,
            flags_of(args),
            created_at=to_timestamp(live.row.created_at),
            leave=not taking.by_criu,
            parent=taking.parent,
        )
        await to_its_end(self._dump(taking, dump))
        taking.phases.begin(Phase.WRITING)
        await self.write_rest(live, dump, taking.phases.bytes)
        if not args.exit:
            self._thaw(taking)
        moment = to_timestamp(taking.frozen_at)
        manifest = manifest_of(live.row, args, self._here, moment, taking.identity, taking.parent)
        image = await draft.finish(manifest, taking.phases.bytes)
        self._journal.reached(Step.CHECKPOINT_WRITTEN)
        return image

    async def write_rest(self, live: Live, dump: Dump, progress: Progress | None = None) -> None:
        """What belongs to CRIU's images: the configs, and the files as they are now."""
        await live.runtime.describe(dump)
        if layered(live.row):
            upper = self._layer_of(live.row.incarnation) / "upper"
            lower = Path(live.row.spec.source.rootfs or "/")
            notes = await self._layers.save(upper, lower, dump.folder, progress)
            if notes:
                log.warning("not-in-checkpoint", container=live.row.name, left_out=notes)

    async def _dump(self, taking: _Taking, dump: Dump) -> None:
        await taking.live.runtime.checkpoint(dump)
        taking.dumped = True
        self._journal.reached(Step.CHECKPOINT_DUMPED)

    def _thaw(self, taking: _Taking) -> None:
        taking.live.runtime.thaw()
        taking.stood_still_us = self._stood_still(taking)

    def _stood_still(self, taking: _Taking) -> int:
        since = taking.frozen_at
        return 0 if since is None else max(0, self._clock.now() - since) // 1000

    async def _undo(self, taking: _Taking, error: BaseException) -> None:
        """It goes on; unless CRIU has ended it, as it was asked to: then the policy decides."""
        taking.call.interruptible = False
        taking.live.runtime.thaw()
        await taking.draft.discard()
        await self._images.delete(taking.live.row.incarnation, taking.args.checkpoint)
        asked = str(ExitReason.CHECKPOINT) if taking.by_criu and taking.dumped else None
        await self._outcomes.failed(
            taking.live, taking.args.checkpoint, taking.call.id, error, asked
        )


def _memory_bytes(live: Live) -> int:
    """What its images will take, about. Not what the kernel keeps of files for it: that may be
    any number of times as much, and is in no image."""
    try:
        memory = live.runtime.stats().memory
    except WharfsideError:
        return 0
    return 0 if memory is None else memory.anon_bytes or 0
