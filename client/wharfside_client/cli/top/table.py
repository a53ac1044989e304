"""A table whose head stays, drawn line by line: only what is on the screen costs anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, Generic

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wharfside_client.cli.top.columns import Cell, Layout, R, lay_out

HEAD, CURSOR = Style(bold=True, reverse=True), Style(reverse=True)
SORTED_HEAD, SORTED = Style(color="cyan"), Style(bold=True)


class Table(ScrollView, Generic[R], can_focus=True):
    """Rows of one kind. The cursor stays with its row, wherever that is sorted to.

    Attributes:
        rows: what is shown, in order.
        marked: the key of the column by which it is sorted.
    """

    DEFAULT_CSS = "Table { overflow-x: hidden; scrollbar-size-vertical: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "first", show=False),
        Binding("end", "move(1000000)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Moved(Message):
        """Other rows are on the screen, or another one is under the cursor."""

    class Chosen(Message):
        """Enter on a row."""

        def __init__(self, row: Any) -> None:
            super().__init__()
            self.row = row

    def __init__(
        self,
        cells: Sequence[Cell[R]],
        key: Callable[[R], Hashable],
        tint: Callable[[R], str],
        *,
        id: str,
    ) -> None:
        super().__init__(id=id)
        self.rows: Sequence[R] = []
        self.marked = ""
        self._cells: Sequence[Cell[R]] = cells
        self._key: Callable[[R], Hashable] = key
        self._tint: Callable[[R], str] = tint
        self._cursor: Hashable = None
        self._at = 0
        self._longest = 0
        self._layout: Layout[R] = lay_out(cells, 80, 0)

    def show(self, rows: Sequence[R], marked: str) -> None:
        self.rows, self.marked = rows, marked
        self._longest = max((len(self._cells[0].text(row, 0, False)) for row in rows), default=0)
        self._at = self._found()
        self._lay_out()
        self.virtual_size = Size(self.size.width, len(rows) + 1)
        self.refresh()

    @property
    def current(self) -> R | None:
        """The row under the cursor."""
        return self.rows[self._at] if self._at < len(self.rows) else None

    @property
    def on_screen(self) -> Sequence[R]:
        top = self.scroll_offset.y
        return self.rows[top : top + self._page]

    @property
    def _page(self) -> int:
        return max(self.size.height - 1, 1)

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self._strip(self._layout.head(), HEAD, SORTED_HEAD)
        at = y - 1 + self.scroll_offset.y
        if at >= len(self.rows):
            return Strip.blank(self.size.width)
        row = self.rows[at]
        style = Style.parse(self._tint(row))
        if at == self._at and self.has_focus:
            style += CURSOR
        return self._strip(self._layout.line(row, time.time_ns()), style, SORTED)

    def action_move(self, by: int) -> None:
        if not self.rows:
            return
        self._at = min(max(self._at + by, 0), len(self.rows) - 1)
        self._cursor = self._key(self.rows[self._at])
        self._bring_into_sight()
        self.refresh()
        self.post_message(self.Moved())

    def action_page(self, by: int) -> None:
        self.action_move(by * self._page)

    def action_first(self) -> None:
        """To the first row, whichever that is from now on."""
        self.action_move(-len(self.rows))
        self._cursor = None

    def action_choose(self) -> None:
        if self.current is not None:
            self.post_message(self.Chosen(self.current))

    def on_click(self, event: Click) -> None:
        if event.y > 0:
            self.action_move(event.y - 1 + self.scroll_offset.y - self._at)

    def on_resize(self) -> None:
        self._lay_out()
        self.post_message(self.Moved())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved())

    def _lay_out(self) -> None:
        self._layout = lay_out(self._cells, self.scrollable_content_region.width, self._longest)

    def _found(self) -> int:
        """Where the cursor's row is now; where it is gone, what came into its place."""
        if self._cursor is None:
            return 0
        for at, row in enumerate(self.rows):
            if self._key(row) == self._cursor:
                return at
        return min(self._at, max(len(self.rows) - 1, 0))

    def _bring_into_sight(self) -> None:
        top = self.scroll_offset.y
        if self._at < top:
            self.scroll_to(y=self._at, animate=False)
        elif self._at >= top + self._page:
            self.scroll_to(y=self._at - self._page + 1, animate=False)

    def _strip(self, texts: Sequence[str], style: Style, marked: Style) -> Strip:
        gap = Segment(" " * self._layout.gap, style)
        segments: list[Segment] = []
        for cell, text in zip(self._cells, texts, strict=True):
            own = style + marked if cell.key == self.marked else style
            segments += [Segment(text, own), gap]
        return Strip(segments[:-1]).adjust_cell_length(self.size.width, style)
