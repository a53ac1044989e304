"""Files in and out of a container's root, as tar streams; ports.io carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wharfside_agent.ports.io import Carried
from wharfside_agent.ports.process import Root


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive(Carried):
    """An archive on its way.

    One that leaves: `name` is that of its root, `.` where the contents of a folder are wanted
    (`/path/.`), `folder` whether it is one, `bytes` about the length of its stream; None: too
    large a tree to count.

    One that arrives: its source ends once all is there, or raises what is wrong; with
    `folder` members go below the path, else the archive's one root becomes the path itself.
    """

    name: str
    folder: bool
    bytes: int | None = None


class Archives(Protocol):
    """Each runs in a thread of its own. `root` is theirs from the call on, to be released."""

    async def leave(self, root: Root, path: str, *, follow: bool = False) -> Archive:
        """A file, folder or link at `path`; with `follow` what the link leads to.

        Raises:
            NotFound, Denied, Unsupported: what of `path` or of this node is at fault.
            Busy: as many archives are on their way as the node takes.
        """
        ...

    async def arrive(self, root: Root, path: str) -> Archive:
        """An archive that is unpacked at `path`.

        Raises:
            NotFound, Denied, Unsupported, Busy: as `leave`.
        """
        ...

    async def close(self) -> None:
        """Ends all, and waits for their threads as long as a file system may take."""
        ...
