"""What is printed: steps, events as they arrive, what was checked. Plain lines in a pipe."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from pathlib import Path

from wharfside_client.cli.eventlines import event_words
from wharfside_protocol.events import Event, EventType

_RED, _GREEN, _YELLOW, _DIM, _BOLD = "31", "32", "33", "2", "1"
_TINTS: dict[str, str] = {
    EventType.CREATE_FAILED: _RED,
    EventType.OOM: _RED,
    EventType.STARTED: _GREEN,
    EventType.EXEC_STARTED: _GREEN,
    EventType.RESUMED: _GREEN,
    EventType.PAUSED: _YELLOW,
    EventType.DELETED: _DIM,
    EventType.UP: _DIM,
    EventType.DOWN: _DIM,
}
TIME, PLACE, TYPE = 12, 15, 13
"""Widths of the columns: with them a line of facts has 34 characters in 80."""


class Screen:
    """Prints to stdout at once. Colours and cut lines only on a terminal.

    `here`: where the user stands; what lies below is shown from there.
    """

    def __init__(self, here: Path) -> None:
        self._here = here
        self._terminal = sys.stdout.isatty()
        self._color = self._terminal and not os.environ.get("NO_COLOR")

    @property
    def _width(self) -> int:
        return shutil.get_terminal_size().columns

    def path(self, path: Path) -> str:
        return str(path.relative_to(self._here) if path.is_relative_to(self._here) else path)

    def title(self, text: str) -> None:
        self._print(text, _BOLD)

    def fact(self, name: str, value: str) -> None:
        self._print(f"  {name:<8} {value}")

    def heading(self) -> None:
        self._print(f"\n{'TIME':<{TIME}}  {'WHERE':<{PLACE}}  {'EVENT':<{TYPE}}  FACTS", _DIM)

    def step(self, number: int, text: str) -> None:
        self._print(f"\n{number}. {text}", _BOLD)

    def event(self, event: Event) -> None:
        time, place, type_, facts = event_words(event)
        tint = _TINTS.get(event.type)
        if event.type == EventType.EXITED:
            tint = None if event.data.get("exit_code") == 0 else _YELLOW
        self._print(f"{time:<{TIME}}  {place:<{PLACE}}  {type_:<{TYPE}}  {facts}", tint, cut=True)

    def asked(self, text: str) -> None:
        self._print(f"-> {text}")

    def answered(self, text: str) -> None:
        """Whole, since errors are to be read."""
        if self._terminal:
            text = textwrap.fill(text, self._width - 3, break_long_words=False)
        self._print("<- " + text.replace("\n", "\n   "))

    def good(self, text: str) -> None:
        self._print(f"ok {text}", _GREEN)

    def line(self, text: str = "") -> None:
        self._print(text)

    def error(self, text: str) -> None:
        sys.stdout.flush()
        color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        text = f"\x1b[{_RED}m{text}\x1b[0m" if color else text
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def _print(self, text: str, tint: str | None = None, *, cut: bool = False) -> None:
        text = text.rstrip()
        if cut and self._terminal and len(text) > self._width:
            text = text[: self._width - 3] + "..."
        if tint is not None and self._color:
            text = f"\x1b[{tint}m{text}\x1b[0m"
        try:
            print(text, flush=True)  # noqa: T201
        except OSError:  # whoever read us is gone: to the end in good order, unheard
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
