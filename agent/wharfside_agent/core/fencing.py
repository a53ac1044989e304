"""Fences: a command that expects another container than there is, is stale."""

from __future__ import annotations

from typing import Any

from wharfside_protocol.envelope import Expect
from wharfside_protocol.errors import Stale


def check_fence(
    expect: Expect | None, container: str, incarnation: str, run: int, revision: int
) -> None:
    """Passes where every fence given matches.

    Raises:
        Stale: one does not; `details` tells both sides.
    """
    if expect is None:
        return
    actual: dict[str, Any] = {"incarnation": incarnation, "run": run, "revision": revision}
    for name, value in actual.items():
        wanted = getattr(expect, name)
        if wanted is not None and wanted != value:
            raise Stale(
                f"{container} has {name} {value}, not {wanted}: "
                "read its state again (inspect) and decide anew",
                expected=wanted,
                **actual,
            )
