"""Commands that are made when they are asked for: a start needs one of them.

To import all of them, and to have typer go through their signatures, is a fourth of the CPU time
of a `wharfside ps`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.main import get_group


class Commands(Mapping[str, Any]):
    """typer's commands by name; `homes` has the module of each."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._homes = homes
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made |= made_by(self._homes[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


def made_by(module: str) -> dict[str, Any]:
    """The commands that `register` of this room's `module` makes."""
    app = typer.Typer(rich_markup_mode=None)
    import_module(f"wharfside_client.cli.{module}").register(app)
    return dict(get_group(app).commands)
