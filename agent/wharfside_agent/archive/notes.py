"""What was left out of an archive, for the person who asked for it."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST = 20
"""Lines kept; of the others only the number is told."""


@dataclass
class Notes:
    """Lines without end are not kept: a container may hold a million sockets."""

    _lines: list[str] = field(default_factory=list)
    _more: int = 0

    def add(self, path: str, why: str) -> None:
        if len(self._lines) < MOST:
            self._lines.append(f"{path or '.'}: {why}\n")
        else:
            self._more += 1

    def text(self) -> bytes:
        more = f"and {self._more} more\n" if self._more else ""
        return ("".join(self._lines) + more).encode(errors="surrogateescape")
