"""How changes of an auth folder, and what to do next, are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wharfside_client.auth.members import Change
    from wharfside_client.cli.output import Output


def tell_change(output: Output, change: Change) -> None:
    done = "added" if change.added else "unchanged"
    output.line(f"{change.role} {change.name}: {done}, its key is {change.seed}")
    for path in change.written:
        output.line(f"written: {path}")


def tell_next(output: Output, steps: Sequence[str]) -> None:
    """Lines that can be copied into a shell or a file."""
    output.line("next:")
    for step in steps:
        output.line(f"  {step}")
