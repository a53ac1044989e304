"""One hash over all containers of a node, which anybody can compute from what it told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

Entry = tuple[str, str, int, int, str]
"""Name, incarnation, run, revision, state."""


def inventory_hash(entries: Iterable[Entry]) -> str:
    """SHA-256, in hex, over one line an entry, in the order of the names.

    A line is the five fields in UTF-8 with one blank between, and a line feed. Deleted
    containers have none, nor have those whose `created` is yet to come.
    """
    digest = hashlib.sha256()
    for entry in sorted(entries):
        digest.update((" ".join(str(field) for field in entry) + "\n").encode())
    return digest.hexdigest()
