"""Files in and out of a container's root, as tar streams; ports.io carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wharfside_agent.ports.io import Sink, Source


@dataclass(frozen=True, slots=True)
class Leaving:
    """What comes out. `bytes`: about so long is its stream; None: too large a tree to count.

    `name`: of its first member; `.` where the contents of a folder are wanted (`/path/.`).
    """

    source: Source
    name: str
    folder: bool
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Arriving:
    """What takes an archive in. `source` ends once all is there, or raises what is wrong.

    `folder`: members go below the path; else the archive's one root becomes the path itself.
    """

    sink: Sink
    source: Source
    name: str
    folder: bool


class Archives(Protocol):
    """Each runs in a thread of its own. `root` is an O_PATH descriptor, theirs from the call on."""

    async def leave(self, root: int, path: str, *, follow: bool = False) -> Leaving:
        """A file, folder or link at `path`; with `follow` what the link leads to.

        Raises:
            NotFound, Denied, Unsupported: what of `path` or of this node is at fault.
            Busy: as many archives are on their way as the node takes.
        """
        ...

    async def arrive(self, root: int, path: str) -> Arriving:
        """An archive that is unpacked at `path`.

        Raises:
            NotFound, Denied, Unsupported, Busy: as `leave`.
        """
        ...

    async def close(self) -> None:
        """Ends all, and waits for their threads as long as a file system may take."""
        ...
