"""Whether the stream has all that a node has told: its own store knows what waits for a PubAck."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Unpack

from tests.integration.world import Site
from tests.support.agent import AgentProcess

from wharfside_client import Node
from wharfside_client.calls import Options


async def all_published(site: Site) -> bool:
    """Every event has its PubAck, and that is committed."""
    return await wanting_of(site.node) == {} and waiting(site.agent) == 0


async def wanting_of(node: Node, **options: Unpack[Options]) -> dict[str, str]:
    """What keeps the node from its work. That its loop was late is the machine's doing, and would
    be told for half a minute."""
    wanting = (await node.info(**options)).ready
    return {part: why for part, why in wanting.items() if part != "loop"}


def waiting(agent: AgentProcess) -> int:
    """So many events."""
    path = agent.folder / "state" / "store.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
        (count,) = db.execute("SELECT count(*) FROM outbox").fetchone()
        return int(count)
