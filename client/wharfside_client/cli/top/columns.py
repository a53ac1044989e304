"""The cells of the rows, and how wide they may be: pure.

Widths are fixed, so that nothing jumps as figures change: only names and events take what
is left. A narrow terminal has shorter cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from wharfside_client.cli import words
from wharfside_client.cli.eventlines import event_words
from wharfside_client.cli.output import clean
from wharfside_client.cli.top.board import NodeRow, Row
from wharfside_client.cli.top.figures import Figures
from wharfside_protocol.events import Event

NARROW = 120
"""Below so many columns cells are as short as they can be."""

R = TypeVar("R", Row, NodeRow)


@dataclass(frozen=True, slots=True)
class Cell(Generic[R]):
    """A column: `text(row, now_ns, narrow)`; `grows` columns share what is left over."""

    key: str
    title: str
    text: Callable[[R, int, bool], str]
    width: int
    narrow: int = 0
    right: bool = True
    grows: bool = False


@dataclass(frozen=True, slots=True)
class Layout(Generic[R]):
    """Columns with their widths in a terminal so wide."""

    cells: Sequence[Cell[R]]
    widths: Sequence[int]
    gap: int
    narrow: bool

    def head(self) -> list[str]:
        titles = [cell.title for cell in self.cells]
        return [fit(*each) for each in zip(self.cells, titles, self.widths, strict=True)]

    def line(self, row: R, now_ns: int) -> list[str]:
        texts = [clean(cell.text(row, now_ns, self.narrow)) for cell in self.cells]
        return [fit(*each) for each in zip(self.cells, texts, self.widths, strict=True)]


def lay_out(cells: Sequence[Cell[R]], total: int, longest: int) -> Layout[R]:
    """The first column takes what its `longest` text needs, the last one the rest."""
    narrow = total < NARROW
    gap = 1 if narrow else 2
    widths = [(cell.narrow or cell.width) if narrow else cell.width for cell in cells]
    spare = total - sum(widths) - gap * (len(cells) - 1)
    given = max(min(longest - widths[0], spare), 0)
    widths[0] += given
    if cells[-1].grows:
        widths[-1] += max(spare - given, 0)
    return Layout(cells, widths, gap, narrow)


def fit(cell: Cell[R], text: str, width: int) -> str:
    """Cut with an ellipsis where it is too long."""
    if len(text) > width:
        return text[: width - 1] + "…"
    return text.rjust(width) if cell.right else text.ljust(width)


def detail(row: Row, now_ns: int) -> str:
    """All that the table has no room for, in one line."""
    view = row.view
    parts = [str(row.place), f"{row.state} for {words.age(row.since, now_ns)}"]
    if view.exit is not None:
        parts.append(f"exit {words.exit_words(view.exit)}")
    parts += [f"run {view.run}, {view.restarts} restarts", f"pid {view.pid or '-'}"]
    if row.event is not None:
        at, _place, _kind, facts = event_words(row.event)
        parts.append(f"{at} {_kind_of(row.event)} {facts}".strip())
    parts += [f"{key}={value}" for key, value in view.labels.items()]
    return clean("  ".join(parts))


def cpu(figures: Figures | None) -> str:
    percent = None if figures is None else figures.cpu_percent
    return "-" if percent is None else f"{percent:.1f}"


def memory(figures: Figures | None) -> str:
    if figures is None or figures.usage.memory_bytes is None:
        return "-"
    limit = figures.usage.memory_limit_bytes
    return f"{words.size(figures.usage.memory_bytes)}/{words.size(limit)}"


def pids(figures: Figures | None) -> str:
    return "-" if figures is None or figures.usage.pids is None else str(figures.usage.pids)


def stalls(figures: Figures | None, *, narrow: bool) -> str:
    if figures is None or figures.stalled is None:
        return "-"
    digits = 0 if narrow else 1
    return "/".join("-" if each is None else f"{each:.{digits}f}" for each in figures.stalls)


def runs(row: Row) -> str:
    """The run, and how often the policy has restarted it since the last start by command."""
    return f"{row.view.run}({row.view.restarts})" if row.view.restarts else str(row.view.run)


def last_event(row: Row, now_ns: int, narrow: bool) -> str:
    if row.event is None:
        return "-"
    _at, _place, _kind, facts = event_words(row.event)
    kind, ago = _kind_of(row.event), words.age(row.event.occurred_at, now_ns)
    return f"{kind} {ago}" if narrow else f"{kind} {ago} ago {facts}".rstrip()


def _kind_of(event: Event) -> str:
    """`exec exited`: an exec's end must not look as if the container had ended."""
    of_exec = event.process not in (None, "init") and not event.type.startswith("exec-")
    return f"exec {event.type}" if of_exec else str(event.type)


CONTAINERS: Sequence[Cell[Row]] = (
    Cell("name", "CONTAINER", lambda r, _n, _s: str(r.place), 20, 15, right=False),
    Cell("cpu", "CPU%", lambda r, _n, _s: cpu(r.figures), 7, 5),
    Cell("memory", "MEM/LIMIT", lambda r, _n, _s: memory(r.figures), 11, 10),
    Cell("pids", "PIDS", lambda r, _n, _s: pids(r.figures), 6, 4),
    Cell("psi", "PSI%", lambda r, _n, s: stalls(r.figures, narrow=s), 14, 8),
    Cell("run", "RUN", lambda r, _n, _s: runs(r), 7, 4),
    Cell("state", "STATE", lambda r, _n, _s: r.state, 10, 8, right=False),
    Cell("age", "AGE", lambda r, n, _s: words.age(r.since, n), 5, 4),
    Cell("event", "LAST EVENT", last_event, 22, 14, right=False, grows=True),
)
NODES: Sequence[Cell[NodeRow]] = (
    Cell("node", "NODE", lambda r, _n, _s: r.node.node, 20, 15, right=False),
    Cell("cpu", "CPU%", lambda r, _n, _s: cpu(r.figures), 7, 5),
    Cell("memory", "MEM/TOTAL", lambda r, _n, _s: memory(r.figures), 11, 10),
    Cell("pids", "TASK", lambda r, _n, _s: pids(r.figures), 6, 4),
    Cell("psi", "PSI%", lambda r, _n, s: stalls(r.figures, narrow=s), 14, 8),
    Cell("cpus", "CPUS", lambda r, _n, _s: str(r.node.info.cpus or "-"), 7, 4),
    Cell("state", "STATE", lambda r, _n, _s: r.standing, 10, 8, right=False),
    Cell("running", "RUNNING", lambda r, _n, _s: f"{r.running}/{r.total}", 7),
    Cell(
        "seen",
        "LAST SEEN",
        lambda r, n, _s: f"{words.age(r.node.seen_at, n)} ago",
        22,
        11,
        right=False,
        grows=True,
    ),
)
