"""A message as the client's rooms see it, whatever library brought it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

NO_RESPONDERS = "503"
NOT_FOUND = "404"
END_OF_BATCH = "204"


class Message(NamedTuple):
    """`headers` keep the server's spelling; a status message has `Status` among them."""

    subject: str
    data: bytes
    headers: Mapping[str, str]

    @property
    def status(self) -> str | None:
        """Three digits where the server itself speaks (`503` nobody listens), else None."""
        return self.headers.get("Status")


Sink = Callable[[Message], None]
