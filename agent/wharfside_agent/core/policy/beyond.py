"""What is asked for beyond what is allowed: names, paths, and the words for them."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable

from wharfside_agent.core.policy.rules import ALL


def beyond(wanted: Iterable[str], allowed: Collection[str]) -> list[str]:
    """`all` and `*` allow everything, a last `*` any rest."""
    missing = set(wanted).difference(allowed)
    if not missing or ALL in allowed:
        return []
    stems = tuple(each[:-1] for each in allowed if each.endswith("*"))
    return sorted(each for each in missing if not each.startswith(stems))


def below(path: str, roots: Collection[str]) -> bool:
    plain = posixpath.normpath(path)
    return any(
        plain == posixpath.normpath(root) or plain.startswith(posixpath.normpath(root) + "/")
        for root in roots
    )


def named(what: str, found: Collection[str]) -> str | None:
    return f"{what} {', '.join(sorted(found)[:8])}" if found else None
