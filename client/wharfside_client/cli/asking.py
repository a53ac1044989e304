"""Nodes that were asked at once and did not answer: told alike by `ps`, `stats` and `top`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wharfside_client.cli import exitcodes
from wharfside_client.cli.output import error_body
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_protocol.errors import WharfsideError

DEFAULT_TIMEOUT_S = 5.0
"""One slow node must not hold up the list of all others."""

Missing = Mapping[str, "WharfsideError"]
"""Each node that did not answer, with the reason."""


def patience_s(session: Session) -> float:
    return session.flags.timeout or DEFAULT_TIMEOUT_S


def status(named: list[str] | None, missing: Missing) -> int:
    """Of all nodes some may be away; who names one wants its answer."""
    return exitcodes.OURS if named and missing else exitcodes.OK


def tell_missing(session: Session, missing: Missing, what: str = "is not in this list") -> None:
    for node, error in sorted(missing.items()):
        session.output.warn(f"{node} {what}: {error.message}")


def unanswered(missing: Missing) -> list[dict[str, Any]]:
    """As every document has them."""
    return [{"node": node, "error": error_body(error)} for node, error in sorted(missing.items())]
