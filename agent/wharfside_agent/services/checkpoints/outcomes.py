"""What came of a checkpoint, committed and told: `checkpointed` or `checkpoint-failed`."""

from __future__ import annotations

import asyncio
from typing import Any

from wharfside_agent.core import lifecycle
from wharfside_agent.core.lifecycle import Input
from wharfside_agent.errors import told
from wharfside_agent.ports.images import Image
from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.checkpoints.manifests import view_of
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.views import standing
from wharfside_protocol.checkpoints import Checkpointed, CheckpointFailed, CheckpointValue
from wharfside_protocol.errors import Canceled, WharfsideError
from wharfside_protocol.event_facts import WhyNotRestarting
from wharfside_protocol.exits import ExitReason


class Outcomes:
    """Either ends the checkpoint's intent, in the same transaction."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def taken(
        self, live: Live, image: Image, frozen_us: int, cause: str | None, call: Call | None
    ) -> CheckpointValue:
        """From here on it is there; with `exit` its container is as good as over."""
        view = view_of(image)
        changes: dict[str, Any] = {}
        if view.exit:
            held = WhyNotRestarting.CHECKPOINTED
            changes = {"end_asked": str(ExitReason.CHECKPOINT), "held": held}

        def value(row: ContainerRow) -> CheckpointValue:
            return CheckpointValue(**standing(row), checkpoint=view, frozen_us=frozen_us)

        def close(tx: Tx, row: ContainerRow) -> None:
            _close_intent(tx, row)
            if call is not None:
                call.settle(tx, value(row))

        facts = {name: getattr(view, name) for name in view.__struct_fields__}
        row = await self._containers.advance(
            live,
            Input.CHECKPOINT,
            Checkpointed(**facts, frozen_us=frozen_us),
            changes=changes,
            cause=cause,
            also=close,
        )
        return value(row)

    async def failed(
        self,
        live: Live,
        checkpoint: str,
        cause: str | None,
        error: BaseException,
        end_asked: str | None = None,
    ) -> None:
        """Told where there is a run to tell it of. `end_asked`: why it ended all the same."""
        if (live.row.state, Input.CHECKPOINT_FAILED) not in lifecycle.TABLE:
            await self._containers.commit(live, also=_close_intent)
            return
        await self._containers.advance(
            live,
            Input.CHECKPOINT_FAILED,
            CheckpointFailed(checkpoint=checkpoint, error=_reason(error).to_body()),
            changes={} if end_asked is None else {"end_asked": end_asked},
            cause=cause,
            also=_close_intent,
        )


def _close_intent(tx: Tx, row: ContainerRow) -> None:
    tx.close_intent(row.incarnation, "checkpoint")


def _reason(error: BaseException) -> WharfsideError:
    if isinstance(error, asyncio.CancelledError):
        return Canceled("canceled; the container goes on", stage="running")
    return told(error) if isinstance(error, Exception) else Canceled(str(error))
