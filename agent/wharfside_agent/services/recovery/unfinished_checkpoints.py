"""Checkpoints and restores that a former life had begun: finished where they can be, else undone.

Nobody cuts a dump short: CRIU outlives the agent, and works within the container's processes. So
its end is waited for, beside the rest of recovery; until then no exit of the container is told.
"""

from __future__ import annotations

from pathlib import Path

import structlog
from msgspec.structs import asdict

from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.images import Image, Images
from wharfside_agent.ports.rows import ContainerRow, Intent
from wharfside_agent.ports.runtime import Dump, Runtime
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.checkpoints.dumps import Checkpoints
from wharfside_agent.services.checkpoints.manifests import Here, manifest_of
from wharfside_agent.services.checkpoints.outcomes import Outcomes
from wharfside_agent.services.checkpoints.restores import Restores
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.exits import ExitTeller
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.services.views import state_value
from wharfside_protocol.checkpoints import CheckpointArgs, CheckpointFlags
from wharfside_protocol.errors import Canceled, Invalid, NotFound, RuntimeFailed, WharfsideError
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.states import ContainerState
from wharfside_protocol.times import to_timestamp

log = structlog.get_logger(__name__)


class UnfinishedCheckpoints:
    """The part of recovery that knows CRIU."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        outcomes: Outcomes,
        restores: Restores,
        runtime: Runtime,
        images: Images,
        commands: Commands,
        exits: ExitTeller,
        clock: Clock,
        tasks: Tasks,
        here: Here,
    ) -> None:
        self._checkpoints = checkpoints
        self._outcomes = outcomes
        self._restores = restores
        self._runtime = runtime
        self._images = images
        self._commands = commands
        self._exits = exits
        self._clock = clock
        self._tasks = tasks
        self._here = here

    async def clear_drafts(self, intents: list[Intent], keep: list[str]) -> None:
        """What nobody works on any more; `keep`: migrations that bring an image."""
        but = [Path(intent.folder) for intent in intents if intent.folder is not None]
        try:
            await self._images.clear_drafts(but, keep)
        except OSError as error:
            log.error("drafts-not-cleared", error=str(error))

    async def settle(self, live: Live, intent: Intent) -> None:
        """Its command is adopted before this returns; the rest goes on by itself."""
        call = await self._commands.adopt(intent.command)
        await live.settling.acquire()
        self._tasks.start(self._settle(live, intent, call), f"checkpoint of {live.row.name}")

    async def settle_gone(self, live: Live, intent: Intent) -> None:
        """Its processes are gone, with their boot or behind our back: an image that is whole is
        told before their end; else nothing is left of it, and its room is free."""
        call = await self._commands.adopt(intent.command)
        try:
            image = await self._images.open(live.row.incarnation, intent.checkpoint or "")
            await self._outcomes.taken(live, image, 0, intent.command, call)
        except Exception as error:
            await self._undo(live, intent, call, str(error))
        else:
            await self._answer(call)

    def end(self, live: Live) -> None:
        """One whose last checkpoint is committed, and that was not killed yet."""
        ended = live.row.end_asked == ExitReason.CHECKPOINT
        if ended and live.row.state in (ContainerState.RUNNING, ContainerState.PAUSED):
            self._tasks.start(self._checkpoints.end(live), f"end of {live.row.name}")

    async def find_restored(self, live: Live, intent: Intent | None) -> bool:
        """Whether it was restored before the agent died: then that is told, and it is followed."""
        origin = None if intent is None else intent.restored_from
        if intent is None or origin is None:
            return False
        try:
            live.handle = await self._runtime.restored(live.plan)
        except (NotFound, RuntimeFailed):
            return False
        call = await self._commands.adopt(intent.command)

        def also(tx: Tx, row: ContainerRow) -> None:
            if call is not None:
                call.settle(tx, state_value(row))

        await self._restores.tell(live, origin, intent.command, also)
        await self._answer(call)
        self._exits.follow(live)
        return True

    async def _settle(self, live: Live, intent: Intent, call: Call | None) -> None:
        try:
            finished = await self._finish(live, intent, call)
        finally:
            live.settling.release()
        if finished:
            self.end(live)

    async def _finish(self, live: Live, intent: Intent, call: Call | None) -> bool:
        """False: undone."""
        try:
            image = await self._found(live, intent)
            frozen_us = max(0, self._clock.now() - (intent.begun_at or 0)) // 1000
            if not image.manifest.flags.exit:
                live.runtime.thaw()
            await self._outcomes.taken(live, image, frozen_us, intent.command, call)
        except Exception as error:
            live.runtime.thaw()
            asked = str(ExitReason.CHECKPOINT) if await _ended_by(live, intent) else None
            await self._undo(live, intent, call, str(error), asked)
            return False
        await self._answer(call)
        return True

    async def _undo(
        self, live: Live, intent: Intent, call: Call | None, why: str, end_asked: str | None = None
    ) -> None:
        await self._discard(live, intent)
        log.warning("checkpoint-undone", container=live.row.name, error=why)
        rest = "its container ended, too" if live.handle is None else "the container goes on"
        reason = Canceled(
            f"the agent died while this checkpoint was taken; there is none of it, and {rest}",
            stage="running",
        )
        name = intent.checkpoint or ""
        await self._outcomes.failed(live, name, intent.command, reason, end_asked)
        if call is not None:
            failure = self._commands.answers.failure(call, reason.to_body())
            await self._commands.finish(call, failure)

    async def _answer(self, call: Call | None) -> None:
        if call is not None and call.result is not None:
            await self._commands.finish(call, call.result)

    async def _found(self, live: Live, intent: Intent) -> Image:
        """The whole image: under its name already, or what CRIU has finished meanwhile.

        Raises:
            WharfsideError: there is none, or it is not the container's last moment any more.
        """
        draft, flags = Path(intent.folder or ""), intent.flags or CheckpointFlags()
        written = await live.runtime.dump_over(draft)
        state = await _state(live)
        by_criu = flags.exit and flags.tcp
        if by_criu and written and state == "stopped":
            return await self._adopted(live, intent, draft, flags)
        image = await self._images.open(live.row.incarnation, intent.checkpoint or "")
        if flags.exit and state != ("stopped" if by_criu else "paused"):
            raise Invalid("it went on after its checkpoint")
        return image

    async def _adopted(
        self, live: Live, intent: Intent, folder: Path, flags: CheckpointFlags
    ) -> Image:
        """CRIU has ended it, so that nothing but the image is left of its life."""
        name = intent.checkpoint or ""
        draft = self._images.adopt(live.row.incarnation, name, folder)
        dump = Dump(folder, flags, to_timestamp(live.row.created_at), leave=False)
        await self._checkpoints.write_rest(live, dump)
        args = CheckpointArgs(container=live.row.name, checkpoint=name, **asdict(flags))
        moment = to_timestamp(intent.begun_at or self._clock.now())
        return await draft.finish(manifest_of(live.row, args, self._here, moment, None, None))

    async def _discard(self, live: Live, intent: Intent) -> None:
        name = intent.checkpoint or ""
        if intent.folder is not None:
            folder = Path(intent.folder)
            await self._images.adopt(live.row.incarnation, name, folder).discard()
        await self._images.delete(live.row.incarnation, name)


async def _state(live: Live) -> str:
    try:
        return await live.runtime.state()
    except WharfsideError:
        return "stopped"


async def _ended_by(live: Live, intent: Intent) -> bool:
    """CRIU was asked to end it, and has."""
    flags = intent.flags or CheckpointFlags()
    return flags.exit and flags.tcp and await _state(live) == "stopped"
