"""The commands of migrations that a former life had begun: answered once those are over."""

from __future__ import annotations

import asyncio

from wharfside_agent.core.migration import Source
from wharfside_agent.errors import told
from wharfside_agent.ports.store import Store
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.migration.departures import Departures
from wharfside_agent.services.migration.outcomes import failure_of, value_of
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.services.views import standing


async def adopt_moves(
    departures: Departures, commands: Commands, store: Store, tasks: Tasks
) -> None:
    """Before commands without a result get their error."""
    for row in departures.rows:
        call = await commands.adopt(row.command, op="migrate")
        if call is not None:
            work = _answered(row.id, call, departures, commands, store)
            tasks.start(work, f"answer of {row.id}")


async def _answered(
    migration: str, call: Call, departures: Departures, commands: Commands, store: Store
) -> None:
    row = await asyncio.shield(departures.outcome(migration))
    container = await store.transact(lambda tx: tx.container(row.incarnation))
    if row.state is Source.GONE and container is not None:
        result = commands.answers.success(call, value_of(row, standing(container)))
    else:
        result = commands.answers.failure(call, told(failure_of(row)).to_body())
    await commands.finish(call, result)
