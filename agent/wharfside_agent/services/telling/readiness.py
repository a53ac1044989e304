"""Whether the node can do its work, part by part: told by presence, `info` and `/readyz` alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Part = Callable[[], str | None]
"""What is wanting, in a word or two; None: nothing."""


class Readiness:
    """Each part is asked when somebody wants to know; it answers at once.

    A node that drains is as ready as it was: that it takes no new work is its `state`.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = parts

    def parts(self) -> dict[str, str | None]:
        """Every part with what is wanting of it."""
        return {name: wanting() for name, wanting in self._parts.items()}

    def wanting(self) -> dict[str, str]:
        """The parts of which something is."""
        return {name: why for name, why in self.parts().items() if why is not None}
