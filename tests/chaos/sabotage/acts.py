"""The six ways. Each replaces one method of the agent by one that lies."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from ulid import ULID

from wharfside_agent.core.exit_status import Ended
from wharfside_agent.ports.rows import OutboxRow
from wharfside_agent.services.life import exits
from wharfside_agent.services.life.endings import Endings
from wharfside_agent.services.telling.publisher import Publisher
from wharfside_agent.store.transaction import SqliteTx
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.exits import StatusSource

EVERY = 20


def drop_the_outbox() -> None:
    """Every so often an event is taken from the outbox and never published."""
    take, numbers = Publisher._take, itertools.count(1)

    def lossy(self: Publisher, rows: Sequence[OutboxRow]) -> None:
        take(self, [row for row in rows if next(numbers) % EVERY])

    Publisher._take = lossy  # type: ignore[method-assign]


def skip_the_journal() -> None:
    """Nothing is intended: a later life does not know what was begun."""
    SqliteTx.save_intent = lambda self, intent: None  # type: ignore[method-assign]


def publish_twice() -> None:
    """Every so often an event is told again, under an id of its own."""
    send, numbers = Publisher._send, itertools.count(1)

    async def twice(
        self: Publisher, event: Any, headers: dict[str, str], expected: int, first_try: int
    ) -> int:
        sequence = await send(self, event, headers, expected, first_try)
        if next(numbers) % EVERY:
            return sequence
        again = msgspec.structs.replace(event, event_id=str(ULID()))
        return await send(self, again, headers, sequence, first_try)

    Publisher._send = twice  # type: ignore[method-assign]


def invent_zero() -> None:
    """An end that nobody saw is told as a good one."""
    interpret = exits.interpret

    def sure(ended: Ended, **facts: Any) -> Any:
        if ended.wait_status is None and ended.exit_file is None:
            ended = dataclasses.replace(ended, exit_file=0, source=StatusSource.EXIT_FILE)
        return interpret(ended, **facts)

    exits.interpret = sure


def swap_two() -> None:
    """`started` waits for whatever follows it, and is published after that."""
    take, held = Publisher._take, dict[str, OutboxRow]()

    def swapped(self: Publisher, rows: Sequence[OutboxRow]) -> None:
        for row in rows:
            if msgspec.msgpack.decode(row.event, type=Event).type is EventType.STARTED:
                held[row.lane] = row
            else:
                take(self, [row, *filter(None, [held.pop(row.lane, None)])])

    Publisher._take = swapped  # type: ignore[method-assign]


def leave_a_process() -> None:
    """Every deleted container leaves something running."""
    remove = Endings.remove

    async def littering(self: Endings, *args: Any, **options: Any) -> None:
        await remove(self, *args, **options)
        subprocess.Popen(["sleep", "1000"], start_new_session=True)

    Endings.remove = littering  # type: ignore[method-assign]


ACTS: Mapping[str, Callable[[], None]] = {
    act.__name__.replace("_", "-"): act
    for act in (
        drop_the_outbox,
        skip_the_journal,
        publish_twice,
        invent_zero,
        swap_two,
        leave_a_process,
    )
}
