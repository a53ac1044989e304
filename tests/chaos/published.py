"""Whether the stream has all that a node has told: its own store knows what waits for a PubAck."""

from __future__ import annotations

import contextlib
import sqlite3

from tests.integration.world import Site
from tests.support.agent import AgentProcess


async def all_published(site: Site) -> bool:
    """Every event has its PubAck, and that is committed."""
    ready = (await site.node.info()).ready
    return ready == {} and waiting(site.agent) == 0


def waiting(agent: AgentProcess) -> int:
    """So many events."""
    path = agent.folder / "state" / "store.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as db:
        (count,) = db.execute("SELECT count(*) FROM outbox").fetchone()
        return int(count)
