"""Ops that open an I/O session: their arguments and values (io_frames.py has the frames)."""

from __future__ import annotations

from wharfside_protocol.checkpoints import CheckpointView
from wharfside_protocol.command_base import ContainerArgs, InspectArgs
from wharfside_protocol.io_frames import DEFAULT_WINDOW, Cells, Position, Window
from wharfside_protocol.records import Counter, Incarnation, Name, Record, Seconds, Timestamp
from wharfside_protocol.specs import HostPath
from wharfside_protocol.states import INIT
from wharfside_protocol.views import Standing


class Opening(Record, frozen=True, kw_only=True):
    """The I/O session that the caller listens to already.

    `peer` is the token that its user may use, `session` one that it makes up; `window` is
    how much it takes before it has acked.
    """

    peer: Name
    session: Name
    window: Window = DEFAULT_WINDOW


class TerminalSize(Record, frozen=True, kw_only=True):
    rows: Cells
    columns: Cells


class SessionView(Record, frozen=True, kw_only=True):
    """An open session. `window`: what the node takes before it has acked; 0: no input.

    `keeps`: what the node sends before it was acked, however much more is welcome: ack often
    enough for that.

    `idle_s`: after so long without a frame either side holds the other for gone; half of
    it, and a Ping is due.
    """

    peer: Name
    session: Name
    window: Counter
    keeps: Counter
    idle_s: Seconds
    tty: bool = False


class SessionValue(Standing, frozen=True, kw_only=True):
    process: Name
    session: SessionView


class LogsArgs(InspectArgs, frozen=True, kw_only=True):
    """A process's log, of all runs that are kept, or of one; down the session, then Eof.

    Beginning at `position`, or with what was written `since`, or the last `tail` lines of
    that, not after `until`; `follow`: on until the process is over (and, of init, not to be
    started again), or `until` is.
    Ends with Exit where it is over, then with Eof. `times` off: chunks without them are
    larger, and fewer.
    """

    process: Name = INIT
    run: Counter | None = None
    position: Position | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None
    tail: Counter | None = None
    follow: bool = False
    stdout: bool = True
    stderr: bool = True
    times: bool = True
    open: Opening


class AttachArgs(ContainerArgs, frozen=True, kw_only=True):
    """A running (or created) process's output from now on, or from `position`; its input.

    One session at a time has `stdin`; `take` ends the one that has it.
    """

    process: Name = INIT
    stdin: bool = False
    output: bool = True
    position: Position | None = None
    take: bool = False
    size: TerminalSize | None = None
    open: Opening


class ArchiveArgs(ContainerArgs, frozen=True, kw_only=True):
    """`path` in the container, also a stopped one; a link in it never leads out of its root."""

    path: HostPath
    open: Opening


class GetArchiveArgs(ArchiveArgs, frozen=True, kw_only=True):
    """A tar stream of `path` comes down, then Eof; what was left out is told on `stderr`.

    A link is copied as itself, or with `follow`, or where `path` ends with a slash, as what it
    leads to. `/path/.` is the folder's contents.
    """

    follow: bool = False


class PutArchiveArgs(ArchiveArgs, frozen=True, kw_only=True):
    """A tar stream goes up, then Eof; when all is unpacked, Eof comes down.

    Below `path` where that is a folder. Else the archive's one root becomes `path`: it
    replaces a file, or is made; with a slash at its end only a folder is.
    """


class ArchiveValue(Standing, frozen=True, kw_only=True):
    """Of get-archive: the root's `name` in the archive, whether it is a folder, and about the
    length of the stream, where that could be counted. Of put-archive: `folder` tells whether
    `path` is one.
    """

    session: SessionView
    name: str
    folder: bool
    bytes: Counter | None = None


class SaveCheckpointArgs(Record, frozen=True, kw_only=True):
    """A checkpoint comes down as a tar of Podman's form, with our manifest, then Eof.

    Of the living container of that name; with `incarnation` of that one, also a deleted one.
    """

    container: Name
    incarnation: Incarnation | None = None
    checkpoint: Name
    open: Opening


class LoadCheckpointArgs(Record, frozen=True, kw_only=True):
    """Such a tar goes up, about `bytes` long, then Eof. What was accepted comes down on `stdout`
    as a CheckpointView, then Eof; or Reset tells what is wrong, and nothing is kept.
    """

    bytes: Counter = 0
    open: Opening


class CheckpointFileValue(Record, frozen=True, kw_only=True):
    """`checkpoint`: of one that is saved, with its size."""

    session: SessionView
    checkpoint: CheckpointView | None = None
