"""The live table on a terminal; the one place, with `table`, that knows textual."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from wharfside_client.changes import State
from wharfside_client.cli.output import clean
from wharfside_client.cli.top.board import Board, Look, NodeRow, Row, Sort
from wharfside_client.cli.top.columns import CONTAINERS, NODES, detail
from wharfside_client.cli.top.feed import Feed
from wharfside_client.cli.top.table import Table
from wharfside_client.picture import copied
from wharfside_protocol.errors import WharfsideError

REPAINT_S = 0.2
"""Changes that come within so long are painted together."""
TICK_S = 1.0
"""Ages go on without any change."""
SCROLLED_S = 0.3
"""So soon after a scroll the figures of what came into sight are asked for."""

SORT_KEYS = {
    "n": Sort.NAME,
    "c": Sort.CPU,
    "m": Sort.MEMORY,
    "p": Sort.PIDS,
    "i": Sort.PSI,
    "r": Sort.RUN,
    "s": Sort.STATE,
    "g": Sort.AGE,
    "e": Sort.EVENT,
}
KEYS = "sort: n c m p i(PSI) r s g(age) e  / filter  a all  space pause  tab  q quit"
KEYS_IN_FULL = (
    "n name  c CPU  m memory  p pids  i PSI  r restarts  s state  g age  e last event  "
    "/ filter  a all  space pause  tab, enter a node's own  q quit"
)
NAMED = 3
"""So many nodes are named where something is wrong with them."""
_TINTS = {"paused": "yellow", "stopping": "yellow", "restarting": "yellow", "stopped": "red"}


class Top(App[WharfsideError | None]):
    """Ends with the error that ended its watch, or with None."""

    CSS = """
    #status { height: 1; text-style: bold; }
    #nodes { height: auto; max-height: 30%; margin-bottom: 1; }
    #containers { height: 1fr; }
    #detail, #keys { height: 1; }
    #detail { color: ansi_cyan; }
    #filter { height: 1; border: none; padding: 0; display: none; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c,ctrl+q", "quit", show=False, priority=False),
        Binding("slash", "filter", show=False, priority=True),
        Binding("escape", "clear", show=False),
        Binding("space", "pause", show=False),
        Binding("a", "all", show=False),
        *(Binding(key, f"sort('{sort}')", show=False) for key, sort in SORT_KEYS.items()),
    ]

    def __init__(self, feed: Feed, look: Look, interval_s: float) -> None:
        super().__init__()
        self.theme = "ansi-dark"
        self._feed = feed
        self._look = look
        self._interval_s = interval_s
        self._kept: State | None = None
        self._board = Board([], [], 0)
        self._painted_s = 0.0
        self._moved = asyncio.Event()
        self._fleet: Table[NodeRow] = Table(
            NODES, lambda row: row.node.node, _node_tint, id="nodes"
        )
        self._containers: Table[Row] = Table(
            CONTAINERS, lambda row: row.place, _tint, id="containers"
        )

        self._entry = Input(
            id="filter", placeholder="part of a name, NODE/ or KEY=VALUE", compact=True
        )
        self._status = Static(id="status", markup=False)
        self._detail = Static(id="detail", markup=False)
        self._keys = Static(id="keys", markup=False)

    def compose(self) -> ComposeResult:
        yield self._status
        yield self._fleet
        yield self._containers
        yield self._entry
        yield self._detail
        yield self._keys

    def on_mount(self) -> None:
        self._containers.focus()
        self._paint()
        self.set_interval(REPAINT_S, self._repaint)
        self._follow()
        self._sample()

    @work(exit_on_error=False)
    async def _follow(self) -> None:
        try:
            await self._feed.follow()
        except WharfsideError as error:
            self.exit(error)

    @work
    async def _sample(self) -> None:
        """A round each interval; after a scroll one in between, where figures are missing."""
        while True:
            if self._kept is None:
                await self._feed.sample(self._wanted())
            self._moved.clear()
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._moved.wait()
                await asyncio.sleep(SCROLLED_S)
            except TimeoutError:
                pass

    def _wanted(self) -> list[Row]:
        """Those on the screen first; of the others only where their figures decide the order."""
        seen = list(self._containers.on_screen)
        if not self._look.sort.by_figure:
            return seen
        places = {row.place for row in seen}
        return seen + [row for row in self._board.rows if row.place not in places]

    def _repaint(self) -> None:
        late = time.monotonic() - self._painted_s >= TICK_S
        if self._kept is None and (late or self._feed.changed.is_set()):
            self._paint()

    def _paint(self) -> None:
        self._feed.changed.clear()
        self._painted_s = time.monotonic()
        self._board = self._feed.board(self._look, self._kept)
        self._fleet.styles.height = len(self._board.nodes) + 1
        self._fleet.show(self._board.nodes, "")
        self._containers.show(self._board.rows, self._look.sort)
        self._tell()

    def _tell(self) -> None:
        """The lines of words: above, and below."""
        self._status.update(clean(self._words()))
        row = self._containers.current
        self._keys.update(KEYS if self.size.width < len(KEYS_IN_FULL) else KEYS_IN_FULL)
        self._detail.update("" if row is None else detail(row, time.time_ns()))

    def on_table_moved(self) -> None:
        self._tell()
        if any(row.figures is None and row.view.state.live for row in self._containers.on_screen):
            self._moved.set()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        """A node chosen is the filter."""
        if isinstance(message.row, NodeRow):
            self._filter_by(f"{message.row.node.node}/")
            self._containers.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In the filter a slash is a slash."""
        return action != "filter" or self.focused is not self._entry

    def action_sort(self, column: str) -> None:
        self._look = self._look.by(Sort(column))
        self._containers.action_first()
        self._paint()

    def action_all(self) -> None:
        self._look = replace(self._look, all=not self._look.all)
        self._paint()

    def action_pause(self) -> None:
        """What is on the screen stays; the watch goes on, so nothing is missed meanwhile."""
        self._kept = copied(self._feed.state) if self._kept is None else None
        self._paint()

    def action_filter(self) -> None:
        self._entry.value = self._look.filter
        self._entry.display = True
        self.screen.set_focus(self._entry)  # at once: the next key is its own already

    def action_clear(self) -> None:
        self._filter_by("")
        self._leave_filter()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._filter_by(event.value)

    def on_input_submitted(self) -> None:
        self._leave_filter()

    def _filter_by(self, words: str) -> None:
        if words != self._look.filter:
            self._look = replace(self._look, filter=words)
            self._paint()

    def _leave_filter(self) -> None:
        self._entry.display = False
        self._containers.focus()

    def _words(self) -> str:
        """What is shown of what, in which order; and what is wrong first."""
        board, look = self._board, self._look
        order = f"{'-' if look.reverse else ''}{look.sort}"
        parts = ["PAUSED"] if self._kept is not None else []
        if self._feed.missing:
            named = sorted(self._feed.missing)
            more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
            parts.append(f"no figures of {', '.join(named[:NAMED])}{more}")
        if self._feed.cut:
            parts.append(f"{self._feed.cut} too many to ask")
        up = sum(node.standing == "up" for node in board.nodes)
        parts.append(f"{up}/{len(board.nodes)} nodes up")
        parts.append(f"{len(board.rows)} of {board.count} containers, by {order}")
        if look.filter:
            parts.append(f"filter {look.filter}")
        return "  ".join(["wharfside top", *parts])


def _tint(row: Row) -> str:
    """What cannot be trusted is dim; what ended badly red."""
    if row.silent:
        return "dim"
    if row.view.exit is not None and row.view.exit.exit_code == 0:
        return "dim"
    return _TINTS.get(row.state, "")


def _node_tint(row: NodeRow) -> str:
    return "" if row.standing == "up" else "red" if row.standing == "silent" else "yellow"


async def show(feed: Feed, look: Look, interval_s: float, *, no_color: bool) -> None:
    """Until it is quit.

    Raises:
        ServerUnreachable, Unanswered, NotSetUp, Denied: the watch could not go on.
    """
    if no_color:
        os.environ["NO_COLOR"] = "1"  # textual knows no other way
    error = await Top(feed, look, interval_s).run_async()
    if error is not None:
        raise error
