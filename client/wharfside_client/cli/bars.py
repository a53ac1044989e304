"""How far something is that takes a while, where stderr is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

WIDTH = 24
"""Of what is told about, so that a bar, bytes and speed fit beside it in 80 columns."""


class Bar(Protocol):
    def __call__(self, done: int, size: int | None, what: str | None = None, /) -> None:
        """`done` of `size` bytes, where that is known; `what` where it has become another."""
        ...


@contextmanager
def byte_bar(what: str, *, quiet: bool, no_color: bool, transient: bool = False) -> Iterator[Bar]:
    """A bar with bytes and speed. `transient`: it goes when it is over."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _size, _what=None, /: None
        return
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    def whole() -> Column:  # where it is narrow the bar gives way: a second line would stay behind
        return Column(no_wrap=True)

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None),
        progress.DownloadColumn(binary_units=True, table_column=whole()),
        progress.TransferSpeedColumn(table_column=whole()),
        progress.TimeRemainingColumn(True, elapsed_when_finished=True, table_column=whole()),
    )
    console = Console(stderr=True, no_color=no_color)
    with progress.Progress(*columns, console=console, expand=True, transient=transient) as shown:
        task = shown.add_task(_cut(what), total=None)

        def update(done: int, size: int | None, what: str | None = None, /) -> None:
            shown.update(task, completed=done, description=None if what is None else _cut(what))
            # not through `update`, to which None is no news
            shown.tasks[0].total = size

        yield update


def _cut(what: str) -> str:
    from rich.markup import escape

    from wharfside_client.cli.output import clean

    named = clean(what)
    return escape(named if len(named) <= WIDTH else f"…{named[1 - WIDTH :]}")
