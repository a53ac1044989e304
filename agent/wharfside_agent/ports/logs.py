"""The logs of the processes of this node, as handlers see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wharfside_agent.ports.io import LiveSource
from wharfside_protocol.io_frames import StreamName


@dataclass(frozen=True, slots=True)
class LogName:
    """One process's log: of one run of one incarnation."""

    incarnation: str
    run: int
    process: str


@dataclass(frozen=True, slots=True)
class LogWish:
    """What of a log is wanted, from `offset` on.

    `end`: up to there, exactly. `until`: a time as the wire has it, with nine digits. `follow`:
    on until the log is whole; else to where it ends now. `times`: each chunk with its time.
    """

    offset: int = 0
    end: int | None = None
    until: str | None = None
    follow: bool = False
    stdout: bool = True
    stderr: bool = True
    times: bool = False

    def wants(self, stream: StreamName) -> bool:
        return self.stderr if stream is StreamName.STDERR else self.stdout


@dataclass(frozen=True, slots=True)
class Tail:
    """The last lines of a log: where they begin, and how many they are."""

    offset: int
    lines: int


class Growth(Protocol):
    """Rings when a file grows: one inotify for all."""

    def once(self, path: str, ring: Callable[[], None]) -> Callable[[], None]:
        """Calls `ring` at the next write to the file, or its renaming; what ends the wait.

        A file that is gone, or a machine without a watch left, rings a little later.
        """
        ...

    def close(self) -> None:
        """Nobody waits; the next `once` opens it again."""
        ...


class LogSource(LiveSource, Protocol):
    """Without anything read of it, and at a log's beginning, it holds nothing open."""

    def end_here(self) -> None:
        """What is there now is the end, also of one that is followed."""
        ...


class Logs(Protocol):
    """The logs on the node's disk. A log that is not there is an empty one."""

    def runs(self, incarnation: str, process: str) -> Sequence[int]:
        """The runs that have a log of `process`, ascending."""
        ...

    def where(self, name: LogName) -> str | None:
        """The file that is written, or was written last; None: nothing of it is there."""
        ...

    def end(self, name: LogName) -> int:
        """How many bytes it has had so far: from now on."""
        ...

    def since(self, name: LogName, time: str) -> int:
        """Where what was written at `time` or later begins; nine digits, as in LogWish."""
        ...

    async def tail(self, name: LogName, lines: int, wish: LogWish) -> Tail:
        """The last `lines` at most of what `wish` is for."""
        ...

    def source(self, name: LogName, wish: LogWish) -> LogSource:
        """Reads it, also when its container is deleted meanwhile. What rotation has removed
        comes as Missing.

        Raises:
            Invalid: the log has never been as long as `wish.offset`.
        """
        ...
