"""The comparisons as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from tests.bench.comparison import BESIDE, Comparison


def show(comparisons: Iterable[Comparison], notes: Iterable[str], console: Console) -> None:
    table = Table(title="ours beside floor and peers: medians, a ratio above 1 is better")
    table.add_column("scenario", no_wrap=True)
    table.add_column("against", no_wrap=True)
    for heading in ("ours", "theirs", "ratio", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("met")
    for one in comparisons:
        table.add_row(*_row(one))
    console.print(table)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def _row(one: Comparison) -> tuple[str, ...]:
    return (
        one.name,
        one.against,
        _figure(one.ours, one.unit),
        _figure(one.theirs, one.unit),
        "-" if one.ratio is None else f"{one.ratio:.2f}",
        "beside" if one.goal == BESIDE else f"{one.goal:.2f}",
        "[green]yes[/]" if one.met else "[red]no[/]",
    )


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"
