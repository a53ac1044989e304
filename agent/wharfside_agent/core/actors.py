"""Who gave a command: a name that only the command claims, or one that a signature proves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is the command's own word unless `proven`; empty where it says none.

    `role` is what this node's settings give to the key that proved it; nobody can claim one.
    `key` is that key, as a public nkey.
    """

    name: str = ""
    role: str | None = None
    proven: bool = False
    key: str | None = None


NOBODY = Actor()
