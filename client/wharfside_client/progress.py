"""What a long command tells while it runs: heard where it can be, missed without harm."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from wharfside_client.bus import Bus
from wharfside_client.messages import Message
from wharfside_protocol.codec import decode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.node_commands import Progress


@asynccontextmanager
async def hear_progress(
    bus: Bus, node: str, command_id: str, tell: Callable[[Progress], None]
) -> AsyncIterator[None]:
    """Calls `tell` with each progress of one command while the context lasts."""

    def heard(message: Message) -> None:
        with contextlib.suppress(Invalid):
            progress = decode(message.data, Progress)
            if (progress.node, progress.command) == (node, command_id):
                tell(progress)

    tap = await bus.subscribe(bus.settings.subjects.progress(node, command_id), heard)
    try:
        yield
    finally:
        await tap.close()
