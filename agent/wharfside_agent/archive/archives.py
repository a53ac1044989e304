"""ports.archive: each archive on its way is a thread, and pipes between it and the loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from wharfside_agent.archive.openat import closing
from wharfside_agent.archive.packing import Packing, measure
from wharfside_agent.archive.pipes import ReadEnd, WriteEnd
from wharfside_agent.archive.places import Goal, Origin, goal, origin
from wharfside_agent.archive.streams import PackedSource, UnpackingSink, UnpackingSource
from wharfside_agent.archive.unpacking import Unpacking
from wharfside_agent.archive.workers import Worker
from wharfside_agent.ports.archive import Archive
from wharfside_agent.ports.process import Root
from wharfside_protocol.errors import Busy
from wharfside_protocol.tar_stream import Incoming

CLOSING_S = 5.0


class TarArchives:
    """ports.archive.Archives: at most `most` on their way at once.

    `kept_free`: bytes that unpacking leaves on a file system.
    """

    def __init__(self, most: int, kept_free: int) -> None:
        self.limit(most, kept_free)
        self._workers: dict[Worker[Any], Callable[[], None]] = {}

    def limit(self, most: int, kept_free: int) -> None:
        """For those that begin from now on."""
        self._most = most
        self._kept_free = kept_free

    @property
    def under_way(self) -> int:
        return len(self._workers)

    async def leave(self, root: Root, path: str, *, follow: bool = False) -> Archive:
        ours, theirs = self._pipe(root)
        end = ReadEnd(ours)

        def work(begun: Callable[[tuple[Origin, int | None]], None]) -> None:
            found = origin(root.fd, path, follow=follow)
            with closing(found.fd):
                begun((found, measure(found.fd)))
                Packing(found.fd, found.name, lambda data: _write(theirs, data), worker.notes).run()

        worker: Worker[tuple[Origin, int | None]] = Worker(
            "archive-out", work, lambda: os.close(theirs)
        )
        found, size = await self._begin(worker, root, end.close)
        source = PackedSource(end, worker)
        return Archive(source=source, name=found.name, folder=found.folder, bytes=size)

    async def arrive(self, root: Root, path: str) -> Archive:
        theirs, ours = self._pipe(root)
        done, ended = os.pipe()
        end, outcome = WriteEnd(ours), ReadEnd(done)

        def work(begun: Callable[[Goal], None]) -> None:
            found = goal(root.fd, path)
            with closing(found.fd):
                begun(found)
                stream = Incoming(lambda most: os.read(theirs, most))
                Unpacking(found, stream, self._kept_free).run()

        def release() -> None:
            os.close(theirs)
            os.close(ended)

        def close() -> None:
            end.close()
            outcome.close()

        worker: Worker[Goal] = Worker("archive-in", work, release)
        found = await self._begin(worker, root, close)
        return Archive(
            source=UnpackingSource(outcome, worker),
            sink=UnpackingSink(end, worker),
            name=found.name,
            folder=found.rename is None,
        )

    async def close(self) -> None:
        for close in list(self._workers.values()):
            close()
        if over := [worker.over for worker in self._workers]:
            await asyncio.wait(over, timeout=CLOSING_S)

    def _pipe(self, root: Root) -> tuple[int, int]:
        """(to read, to write); what cannot be made takes `root` with it."""
        try:
            if len(self._workers) >= self._most:
                raise Busy(
                    f"{self._most} archives are on their way on this node already, and no more "
                    "may be (limits.archives): try again",
                    limit=self._most,
                )
            return os.pipe()
        except BaseException:
            root.release()
            raise

    async def _begin(self, worker: Worker[Any], root: Root, close: Callable[[], None]) -> Any:
        def over(_: object) -> None:
            del self._workers[worker]
            root.release()

        self._workers[worker] = close
        worker.over.add_done_callback(over)
        root.on_recall(close)
        worker.start()
        try:
            return await worker.head
        except BaseException:
            close()
            raise


def _write(fd: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
