"""What conmon says on its sync pipe, parsed. Pure.

With `--api-version` >= 1: `{"data": N}` or `{"data": -1, "message": "..."}` and a newline
(conmon, parent_pipe_fd.c).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


class _Line(msgspec.Struct):
    data: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """`pid` of the new process, or None and the runtime's own words."""

    pid: int | None
    words: str = ""


def parse_report(line: bytes) -> Reported:
    """Reads one line; anything but a report of a pid is a failure, told in its own words."""
    try:
        said = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError:
        return Reported(None, f"conmon said: {line.decode(errors='replace').strip()}")
    if said.data > 0:
        return Reported(said.data)
    return Reported(None, said.message.strip())
