"""Keys that leave a process running: docker's `--detach-keys`, and their finding; pure."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT = "ctrl-p,ctrl-q"

_CONTROLS = "@abcdefghijklmnopqrstuvwxyz[\\]^_"
_CODES = {f"ctrl-{key}": code for code, key in enumerate(_CONTROLS)} | {"DEL": 127}


def codes_of(text: str) -> bytes:
    """The bytes that `ctrl-p,ctrl-q` or `a,b` sends; none for an empty text: nothing detaches.

    Raises:
        ValueError: a key that is none.
    """
    return bytes(_code(key) for key in text.split(",")) if text else b""


def _code(key: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    if key not in _CODES:
        raise ValueError(f"detach key {key!r}: write one character, ctrl-a to ctrl-z, or DEL")
    return _CODES[key]


@dataclass
class DetachKeys:
    """Looks for the keys in what is typed.

    What may be their beginning is held back, so that the process never sees them.

    Attributes:
        codes: what the keys send.
        found: they were typed; what comes after them is nobody's.
    """

    codes: bytes
    found: bool = False
    _held: bytes = field(default=b"", repr=False)

    def feed(self, typed: bytes) -> bytes:
        """What goes to the process of `typed` and of what was held back before it."""
        if self.found:
            return b""
        if not self.codes:
            return typed
        text = self._held + typed
        before, keys, _ = text.partition(self.codes)
        if keys:
            self.found, self._held = True, b""
            return before
        held = self._beginning_at_end(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> bytes:
        """What is held back still, where nothing more is typed."""
        held, self._held = self._held, b""
        return held

    def _beginning_at_end(self, text: bytes) -> int:
        """So many of the last bytes may go on to be the keys."""
        longest = min(len(self.codes) - 1, len(text))
        return next((n for n in range(longest, 0, -1) if text.endswith(self.codes[:n])), 0)
