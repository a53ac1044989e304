"""Which checkpoint images go when some must: the choice of `prune`, and room in the quota."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """One image as the choice sees it; `timestamp` sorts as text does."""

    incarnation: str
    name: str
    timestamp: str
    bytes: int


def prunable(
    images: Iterable[Kept],
    *,
    before: str | None = None,
    keep_last: int = 0,
    pinned: frozenset[tuple[str, str]] = frozenset(),
) -> list[Kept]:
    """Oldest first: all taken `before` then, but of each incarnation the newest `keep_last`.

    `pinned` (incarnation, name) are in use, and stay.
    """
    seen: Counter[str] = Counter()
    gone = []
    for image in sorted(images, key=lambda each: (each.timestamp, each.name), reverse=True):
        seen[image.incarnation] += 1
        if seen[image.incarnation] <= keep_last or (image.incarnation, image.name) in pinned:
            continue
        if before is None or image.timestamp < before:
            gone.append(image)
    return gone[::-1]
