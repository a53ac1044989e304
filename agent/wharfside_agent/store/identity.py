"""Whose store this is, and which epoch begins: decided once, when it is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from ulid import ULID

from wharfside_agent.errors import StartError
from wharfside_agent.ports.store import Identity


class ForeignStore(StartError):
    """The data folder belongs to a node of another name."""


def claim(db: sqlite3.Connection, node: str, boot_id: str, now: int, file: str = "") -> Identity:
    """Binds the store to `node`; raises the epoch after a boot and in a new store.

    `file` tells the store's file from a copy of it.

    The caller commits with an fsync: an epoch that was seen must never come back.

    Raises:
        ForeignStore: it is bound to another name.
    """
    known = dict(db.execute("SELECT key, value FROM meta"))
    if known.get("node", node) != node:
        raise ForeignStore(
            f"this data folder belongs to node {known['node']!r}, not {node!r}: "
            "set node.name back, or give this node a state_dir of its own"
        )
    new_store = "node_id" not in known
    new_boot = known.get("boot_id") != boot_id
    fresh = _next_epoch(known, node, boot_id, now) if new_boot else {}
    known |= fresh
    moved = known.get("file", file) != file
    began = now if new_store or moved else int(known.get("remembers_since", 0))
    # a clock that was ahead then has been set since
    marks = {"file": file, "remembers_since": str(min(began, now))}
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", {**fresh, **marks}.items())
    return Identity(
        node=node,
        node_id=known["node_id"],
        boot_id=boot_id,
        epoch=int(known["epoch"]),
        new_store=new_store,
        new_boot=new_boot and not new_store,
        moved=moved,
        remembers_since=int(marks["remembers_since"]),
    )


def _next_epoch(known: Mapping[str, str], node: str, boot_id: str, now: int) -> dict[str, str]:
    """What a boot changes, and what a new store begins with."""
    epoch = max(int(known.get("epoch", 0)) + 1, now // 1_000_000_000)
    fresh = {"epoch": str(epoch), "seq": "0", "boot_id": boot_id, "node": node}
    return fresh if "node_id" in known else {**fresh, "node_id": str(ULID())}
