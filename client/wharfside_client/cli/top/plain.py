"""The table once: for a pipe, `--once`, and as JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from wharfside_client.cli import asking
from wharfside_client.cli.output import Column, Output
from wharfside_client.cli.plain import to_json
from wharfside_client.cli.session import Session
from wharfside_client.cli.top.board import Board, NodeRow, Row
from wharfside_client.cli.top.columns import CONTAINERS, NODES, Cell, R
from wharfside_client.cli.top.feed import Feed
from wharfside_client.cli.top.figures import Figures


def tell(session: Session, board: Board, feed: Feed) -> None:
    output = session.output
    if output.json:
        output.document(as_document(board, feed))
        return
    _table(output, NODES, board.nodes)
    output.line("")
    _table(output, CONTAINERS, board.rows)
    asking.tell_missing(session, feed.missing, "told no figures")
    if feed.cut:
        output.warn(f"{feed.cut} containers were not asked for their figures: name nodes or labels")


def as_document(board: Board, feed: Feed) -> dict[str, Any]:
    """Percents are of one CPU; a figure that nobody told is null."""
    return {
        "nodes": [_node(row) for row in board.nodes],
        "containers": [_container(row) for row in board.rows],
        "unanswered": asking.unanswered(feed.missing),
    }


def _table(output: Output, cells: Sequence[Cell[R]], rows: Sequence[R]) -> None:
    now_ns = time.time_ns()
    columns = [
        Column(cell.title, right=cell.right, grows=cell is cells[0] or cell.grows) for cell in cells
    ]
    output.table(columns, [[cell.text(row, now_ns, False) for cell in cells] for row in rows])


def _node(row: NodeRow) -> dict[str, Any]:
    return {
        "node": row.node.node,
        "standing": row.standing,
        "running": row.running,
        "containers": row.total,
        "seen_at": row.node.seen_at,
        **_figures(row.figures),
    }


def _container(row: Row) -> dict[str, Any]:
    event = row.event
    told = None if event is None else {"type": str(event.type), "at": event.occurred_at}
    return {**to_json(row.view), "last_event": told, **_figures(row.figures)}


def _figures(figures: Figures | None) -> dict[str, Any]:
    percent = None if figures is None else figures.cpu_percent
    usage = None if figures is None else to_json(figures.usage)
    return {"cpu_percent": None if percent is None else round(percent, 2), "usage": usage}
