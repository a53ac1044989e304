"""A process of a container, its streams, and the root that it sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from wharfside_agent.ports.io import LiveSource
from wharfside_agent.ports.watcher import Ended, ExitWatch, ProcessIdentity
from wharfside_protocol.commands import Output
from wharfside_protocol.specs import Io
from wharfside_protocol.views import Fifos

if TYPE_CHECKING:
    from wharfside_agent.ports.runtime import Container


@dataclass(frozen=True, slots=True)
class ProcessTrace:
    """What the store remembers of a process, so that a new life of the agent finds it."""

    process: str
    identity: ProcessIdentity
    monitor: ProcessIdentity


PLAIN_IO = Io()


"""No input, and output into the log."""


class NotExited(Exception):
    """`exit_status` was asked of a process that still runs."""


class Streams(Protocol):
    """containerd's IO and Console: a process's input, terminal, and output without a log.

    Nothing is opened before it is needed: the monitor withholds a process's end from a client
    that does not read. Input is one user's at a time; who that is, others decide.
    """

    @property
    def io(self) -> Io: ...

    @property
    def takes_input(self) -> bool:
        """It was made with stdin or a terminal."""
        ...

    @property
    def input_over(self) -> bool:
        """No input can come any more: it has none, or it has had its end."""
        ...

    def open_input(self) -> None:
        """From now on `write` may be called. Idempotent.

        Raises:
            WrongState: it takes no input, or no more.
            RuntimeFailed: the process is over, or its monitor is gone.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Input; returns once it is taken. A call that is canceled has written a part of it.

        What comes after the process's end is dropped.

        Raises:
            WrongState: stdin has had its end, or the monitor is gone.
        """
        ...

    def end_input(self) -> None:
        """The user of the input is done with it, or gone.

        The process then reads the end of its stdin, after all that was written; but a terminal,
        or stdin without `stdin_once`, waits for the next user. Idempotent.
        """
        ...

    async def resize(self, rows: int, columns: int) -> None:
        """The terminal's size; its programs get SIGWINCH.

        Raises:
            Unsupported: it has no terminal.
            RuntimeFailed: the monitor is gone or hangs.
        """
        ...

    def unlogged(self, *, whole: bool = False) -> LiveSource:
        """The output of a process without a log: from now on, or all that is still kept.

        It ends with the monitor's last word; the process's end is not in it.

        Raises:
            Unsupported: it has a log.
        """
        ...


class Root(Protocol):
    """A container's root, lent. It is asked back before its file system goes."""

    @property
    def fd(self) -> int:
        """O_PATH; open until it is released."""
        ...

    def on_recall(self, call: Callable[[], None]) -> None:
        """`call` is to end all use of it; then it is to be released, soon."""
        ...

    def release(self) -> None:
        """Gives it back. Idempotent."""
        ...


class Process(Protocol):
    """containerd's Process: init, or one that was added by exec."""

    @property
    def id(self) -> str: ...

    @property
    def container(self) -> Container: ...

    @property
    def spec(self) -> Mapping[str, Any]:
        """The OCI process (runtime-spec config.md, `process`)."""
        ...

    @property
    def trace(self) -> ProcessTrace: ...

    @property
    def pid(self) -> int: ...

    @property
    def exit_fd(self) -> int:
        """A pidfd, readable once the process is over; -1 where it was over before."""
        ...

    @property
    def watch(self) -> ExitWatch: ...

    @property
    def streams(self) -> Streams: ...

    @property
    def fifos(self) -> Fifos | None:
        """Where it was made with `io.fifo`; the driver moves what goes through them."""
        ...

    def exit_status(self) -> Ended:
        """How it ended.

        Raises:
            NotExited: it has not.
        """
        ...

    def signal(self, number: int) -> None:
        """Sends a signal, by pidfd: never to another process of the same pid.

        Raises:
            NotFound: the process is over.
        """
        ...

    def output(self, limit: int) -> Output:
        """The head of each stream, `limit` bytes at most, as the monitor logged it."""
        ...

    def discard(self) -> None:
        """Removes what the monitor of an ended exec wrote, once its exit is committed.

        Its log stays. Nothing happens to init, or to one that still runs.
        """
        ...

    def close(self) -> None:
        """Lets go of file descriptors; the process itself is not touched."""
        ...
