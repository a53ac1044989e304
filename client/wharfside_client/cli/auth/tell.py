"""How changes of an auth folder, and what to do next, are told."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wharfside_client.cli.auth.place import DEFAULT

if TYPE_CHECKING:
    from wharfside_client.auth.members import Change
    from wharfside_client.auth.state import State
    from wharfside_client.cli.output import Output


def tell_change(output: Output, change: Change) -> None:
    done = "added" if change.added else "unchanged"
    output.line(f"{change.role} {change.name}: {done}, its key is {change.credentials}")
    tell_written(output, change.written)


def tell_written(output: Output, paths: Sequence[str]) -> None:
    """The files that servers read."""
    for path in paths:
        output.line(f"written: {path}")


def in_force(path: Path, state: State, written: Sequence[str]) -> list[str]:
    """What lets running servers know of the files that were `written`: the connections of
    everybody else stay."""
    if not written:
        return []
    if state.trust is not None:
        return [f"wharfside auth push{where(path)}"]
    return [f"nats-server --signal reload  # on each server, once it has {path}/conf/accounts.conf"]


def where(path: Path) -> str:
    """The flag that names the folder, where it is not the usual one."""
    return "" if str(path) == DEFAULT else f" -d {shlex.quote(str(path))}"


def tell_next(output: Output, steps: Sequence[str]) -> None:
    """Lines that can be copied into a shell or a file."""
    output.line("next:")
    for step in steps:
        output.line(f"  {step}")
