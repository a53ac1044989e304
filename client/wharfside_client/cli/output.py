"""What the CLI prints: tables for people, plain columns in a pipe, JSON for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from wharfside_protocol.errors import WharfsideError


GAP = 2
MIN_WIDTH = 12


class Column(NamedTuple):
    """A column; `style` is rich's, `grows`: what is too long is cut here on a terminal."""

    title: str
    style: str = ""
    right: bool = False
    grows: bool = False


def clean(text: str) -> str:
    """`text` without control characters: what a node tells must not drive a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def put(text: str) -> None:
    """A line on stdout; see `_writing`."""
    with _writing():
        print(text, flush=True)


@contextmanager
def _writing() -> Iterator[None]:
    """
    Raises:
        BrokenPipeError: nobody reads it any more.
        LocalFailed: it cannot be written, as on a full disk.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # ends the command in silence, as for every program
    except OSError as error:
        raise unwritten(error) from error


def unwritten(error: OSError) -> WharfsideError:
    """LocalFailed, for a stdout of which nothing more is asked."""
    from wharfside_client.cli.errors import LocalFailed

    mute()
    return LocalFailed(f"output cannot be written: {error.strerror}")


def mute() -> None:
    """Python flushes stdout once more at its end, and would complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of plain columns, two spaces apart, nothing cut."""
    table = [[column.title for column in columns], *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    return [
        "  ".join(
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in table
    ]


def fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], total: int) -> list[int]:
    """Widths at which the columns, two spaces apart, take at most `total`, where that can be.

    Those that `grows` give way, the widest first, down to MIN_WIDTH, the leftmost of them last:
    it has the name that is typed next. Then titles do. Of the other cells nothing is cut.
    """
    cells = [max((len(row[i]) for row in rows), default=0) for i in range(len(columns))]
    widths = [max(len(column.title), cell) for column, cell in zip(columns, cells, strict=True)]
    least = [MIN_WIDTH if c.grows else max(cell, 1) for c, cell in zip(columns, cells, strict=True)]
    growing = [i for i, column in enumerate(columns) if column.grows]
    turns = (growing[1:], growing[:1], range(len(columns)))
    for _ in range(_whole(widths) - total):
        wide = ([i for i in turn if widths[i] > least[i]] for turn in turns)
        give = next(filter(None, wide), None)
        if give is None:
            break
        widths[max(give, key=widths.__getitem__)] -= 1
    return widths


def _whole(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


class Output:
    """
    Attributes:
        json: one JSON document for a command, one object a line for streams.
        no_color: asked for, by --no-color or NO_COLOR.
        color: on stdout: only ever on a terminal.
    """

    def __init__(self, *, json: bool = False, no_color: bool = False) -> None:
        self.json = json
        self.terminal = sys.stdout.isatty()
        self.no_color = no_color or bool(os.environ.get("NO_COLOR"))
        self.color = self.terminal and not self.no_color

    def document(self, value: Any) -> None:
        """`value` as the one JSON document of this command."""
        from wharfside_client.cli.plain import dumps

        put(dumps(value, pretty=self.terminal))

    def json_line(self, value: Any) -> None:
        from wharfside_client.cli.plain import dumps

        put(dumps(value, pretty=False))

    def line(self, text: str) -> None:
        put(clean(text))

    def tinted(self, text: str, code: str | None) -> None:
        """A line in a colour (an SGR code), where there are colours."""
        if code is not None and self.color:
            put(f"\x1b[{code}m{clean(text)}\x1b[0m")
        else:
            self.line(text)

    def table(
        self, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, whole: bool = False
    ) -> None:
        """`whole`: nothing is cut, however long a line gets; as it is in a pipe."""
        cells = [[clean(cell) for cell in row] for row in rows]
        if self.terminal:
            _rich_table(columns, cells, no_color=not self.color, whole=whole)
        else:
            put("\n".join(aligned(columns, cells)))

    def streams(self, stdout: bytes, stderr: bytes) -> None:
        """A process's own output, byte for byte."""
        for stream, data in ((sys.stdout, stdout), (sys.stderr, stderr)):
            with _writing():
                stream.flush()
                stream.buffer.write(data)
                stream.flush()

    def warn(self, text: str) -> None:
        print(self._tinted(f"wharfside: {clean(text)}", "33"), file=sys.stderr, flush=True)

    def error(self, error: WharfsideError) -> None:
        if self.json:
            from wharfside_client.cli.plain import dumps

            print(dumps({"error": error_body(error)}, pretty=False), file=sys.stderr, flush=True)
            return
        where = f" (stage {error.stage})" if error.stage and error.stage != "unanswered" else ""
        text = f"wharfside: {clean(error.message)}{clean(where)}"
        print(self._tinted(text, "31"), file=sys.stderr, flush=True)

    def _tinted(self, text: str, code: str) -> str:
        if self.no_color or not sys.stderr.isatty():
            return text
        return f"\x1b[{code}m{text}\x1b[0m"


def error_body(error: WharfsideError) -> dict[str, Any]:
    """An error as JSON has it, on whichever side it was found."""
    from wharfside_client.cli.plain import to_json
    from wharfside_client.errors import fault_of

    return {
        "code": fault_of(error),
        "message": error.message,
        "stage": error.stage,
        "details": to_json(error.details),
    }


def _rich_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, no_color: bool, whole: bool
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(color_system=None if no_color else "auto", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    # a gap is one space of padding and one of the box; the last padding is counted, not shown
    widths = fitted(columns, rows, sys.maxsize if whole else console.width - 1)
    # on a terminal that is too narrow lines wrap: half of an id is none
    console.width = max(console.width, _whole(widths) + 1)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            column.title,
            style=column.style,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=width,
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table, soft_wrap=True)
