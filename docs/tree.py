"""docs/map.md: every file of the three packages with the first sentence that it says of itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parent.parent
PACKAGES = ("protocol/wharfside_protocol", "client/wharfside_client", "agent/wharfside_agent")

INTRODUCTION = """\
# Every file

Drawn from the code by `python docs/generate.py`: what each file says of itself in its first
sentence, room by room. [architecture.md](architecture.md) says how the rooms belong together."""


def document() -> str:
    parts = [INTRODUCTION]
    for package in PACKAGES:
        for folder in _folders(TOP / package):
            name = folder.relative_to(TOP)
            parts += [f"## {name}/", _said_by(folder / "__init__.py"), _table(folder)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _folders(top: Path) -> Iterator[Path]:
    """`top` and every package below it."""
    yield top
    yield from sorted(path.parent for path in top.rglob("*/__init__.py"))


def _table(folder: Path) -> str:
    files = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    rows = [f"| `{path.name}` | {_said_by(path)} |" for path in files]
    return "\n".join(["| File | |", "|---|---|", *rows]) if rows else ""


def _said_by(path: Path) -> str:
    """The first sentence of a module's docstring."""
    told = ast.get_docstring(ast.parse(path.read_text())) or ""
    paragraph = " ".join(told.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.])\s+(?=[A-Z`])", paragraph)[0]
    return sentence.replace("|", "\\|")
