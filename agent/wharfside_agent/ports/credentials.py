"""The files that let the node in, as seen by who watches them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from wharfside_agent.core.expiry import Expiry


class CredentialFiles(Protocol):
    """Never raises: a file that is missing or broken has no expiry, and a digest of its own."""

    def paths(self) -> Sequence[Path]: ...

    def digest(self) -> str:
        """Another one whenever the contents of a file are others."""
        ...

    def expiries(self) -> list[Expiry]:
        """Of each that ends at all."""
        ...


class FolderBell(Protocol):
    def listen(self, paths: Sequence[Path]) -> None:
        """To these files from now on, and to no others: then look at them."""
        ...

    async def changed(self, timeout_s: float) -> bool:
        """Until one of the files may have changed, which may be a false alarm; False: so long
        nothing was seen, which proves nothing either (a file system over the network)."""
        ...
