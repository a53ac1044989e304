"""The root of a container as it is now: what its processes see, or what is mounted for them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from wharfside_protocol.errors import Denied, NotFound

_PIN = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC

RECALL_S = 5.0
"""A borrower may be held by a file system that does not answer; a delete is not, for ever."""


class LentRoot:
    """ports.runtime.Root. `fd` is its own."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._recall: Callable[[], None] | None = None

    def on_recall(self, call: Callable[[], None]) -> None:
        self._recall = call

    def recall(self) -> None:
        if self._recall is not None:
            self._recall()

    def release(self) -> None:
        if not self.released.done():
            os.close(self.fd)
            self.released.set_result(None)


class LentRoots:
    """Those of one run. An overlay that is still in use must not be mounted a second time."""

    def __init__(self) -> None:
        self._lent: set[LentRoot] = set()

    def lend(self, fd: int) -> LentRoot:
        root = LentRoot(fd)
        self._lent.add(root)
        root.released.add_done_callback(lambda _: self._lent.discard(root))
        return root

    async def recall(self) -> None:
        """All are back, or late."""
        lent = list(self._lent)
        for root in lent:
            root.recall()
        if lent:
            await asyncio.wait([root.released for root in lent], timeout=RECALL_S)


def open_root(pid: int, pidfd: int, folder: Path) -> int:
    """An O_PATH descriptor, the caller's to close.

    That of the living init by /proc, with all that is mounted there, also while it is frozen
    or not started yet; else `folder`.

    Raises:
        NotFound: there is none of both.
        Denied: the agent may not look there.
    """
    try:
        seen = _of_process(pid, pidfd)
        return os.open(folder, _PIN | os.O_NOFOLLOW) if seen is None else seen
    except FileNotFoundError as error:
        raise NotFound(f"{folder} is gone: start the container once more") from error
    except OSError as error:
        raise Denied(
            f"the container's root cannot be opened: {error.strerror}", rule="file-permissions"
        ) from error


def _of_process(pid: int, pidfd: int) -> int | None:
    """None: it is over. Never the agent's own root, whatever `pid` has become meanwhile."""
    if pidfd < 0:
        return None
    try:
        fd = os.open(f"/proc/{pid}/root", _PIN)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        # by the pidfd, and after: it was this process that was asked
        signal.pidfd_send_signal(pidfd, 0)
        if not os.path.samestat(os.fstat(fd), Path("/").stat()):
            return fd
    except ProcessLookupError:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None
