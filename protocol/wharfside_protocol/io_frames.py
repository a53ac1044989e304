"""Frames of an I/O session, on `io.<node>.<peer>.<session>.{up,down}`; pure.

`up` goes to the node, `down` to the peer; each direction is a stream of its own. What must
not be lost is sequenced: `at` is the place of a frame in its direction, counted in the bytes
of data before it and COST for each chunk, and for each frame without one. So one number
orders everything, finds every gap, bounds what is kept, and is all that a resumption needs.

Down comes output, `Lost`, `Eof`, `Exit`; up comes input, `Eof`, `Resize`, `Signal`. The frames
that are not sequenced (`Ack`, `Again`, `Ping`, `Reset`, `Close`) may be lost without harm.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.records import Counter, Incarnation, Name, Record, Timestamp
from wharfside_protocol.specs import Signal

MAX_FRAME_BYTES = 128 * 1024
"""No more data in one frame, so that a small window can hold one."""

CHUNK_BYTES = MAX_FRAME_BYTES
"""A frame of this much data is sent at once. A quarter of it would be nats-py's own best, but a
frame costs both ends of a session more than that."""

COST = 64
"""What a chunk, or a frame without one, counts beside its data, as it costs on the wire and in
memory: short lines would else be kept by the hundred thousand in a window."""

MAX_CHUNKS = 1024
"""No more chunks in one frame: a line of a log each, say."""

MAX_WIRE_BYTES = 256 * 1024
"""No frame is larger, with all that goes around its data; what is larger is not even read."""

TTY_WINDOW = 64 * 1024
DEFAULT_WINDOW = 512 * 1024
"""Of a peer that names none; and a node gives no more where many sessions are open."""

BULK_WINDOW = 2 * 1024 * 1024
"""What comes while an ack is on its way and waits for its turn, where five processes share two
cores: a quarter of it costs a reader a third of its speed."""

MAX_WINDOW = 4 * 1024 * 1024

Window = Annotated[int, msgspec.Meta(ge=4096, le=MAX_WINDOW)]
"""So many bytes, costs included, may be on their way, not taken yet: a frame that begins within
it may be sent. It is also what the sender keeps to send again."""

Cells = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""Rows or columns of a terminal; conmon takes no more (ctrl.c)."""


class StreamName(StrEnum):
    """`archive` is a tar stream (`get-archive`, `put-archive`); a tty has only `stdout`."""

    STDIN = "stdin"
    STDOUT = "stdout"
    STDERR = "stderr"
    ARCHIVE = "archive"


class Position(Record, frozen=True, kw_only=True):
    """A place in a process's log: of which run, and how many bytes of the log before it.

    It counts the log as the node keeps it, also what rotation has removed since.
    """

    run: Counter
    offset: Counter


class Chunk(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes of one stream. `time`: when they were read from the process, where that is known."""

    stream: StreamName
    data: Annotated[bytes, msgspec.Meta(max_length=MAX_FRAME_BYTES)]
    time: Timestamp | None = None


class Frame(Record, frozen=True, kw_only=True, tag_field="frame"):
    """Any frame."""


class Sequenced(Frame, frozen=True, kw_only=True):
    """Has a place in its direction, and comes to the reader once and in order."""

    at: Counter

    @property
    def size(self) -> int:
        """Bytes of data in it: looks at each chunk."""
        return 0

    @property
    def cost(self) -> int:
        """What it takes of the sequence beside its data."""
        return COST


class Data(Sequenced, frozen=True, kw_only=True, omit_defaults=True, tag="data"):
    """Output or input. `position`: where the log goes on behind it, for another session."""

    chunks: Annotated[list[Chunk], msgspec.Meta(min_length=1, max_length=MAX_CHUNKS)]
    position: Position | None = None

    @property
    def size(self) -> int:
        return sum(len(chunk.data) for chunk in self.chunks)

    @property
    def cost(self) -> int:
        return COST * len(self.chunks)


class Lost(Sequenced, frozen=True, kw_only=True, tag="lost"):
    """Output that is not here any more: `count` bytes of the log, or of what was buffered."""

    count: Counter
    position: Position | None = None


class Eof(Sequenced, frozen=True, kw_only=True, tag="eof"):
    """No more data in this direction; the other one goes on."""


class Exit(Sequenced, frozen=True, kw_only=True, tag="exit"):
    """The process ended, and all of its output came before this."""

    process: Name
    incarnation: Incarnation
    run: Counter
    exit: ExitStatus


class Resize(Sequenced, frozen=True, kw_only=True, tag="resize"):
    """The peer's window has so many cells."""

    rows: Cells
    columns: Cells


class SignalFrame(Sequenced, frozen=True, kw_only=True, tag="signal"):
    """A signal for the session's process."""

    signal: Signal


class Ack(Frame, frozen=True, kw_only=True, tag="ack"):
    """Everything before `at` was taken; `window` bytes beyond it are welcome."""

    at: Counter
    window: Counter


class Again(Frame, frozen=True, kw_only=True, tag="again"):
    """`at` is expected, and something later came, or nothing: send from there again."""

    at: Counter


class Ping(Frame, frozen=True, kw_only=True, tag="ping"):
    """I am there, and have sent all before `at`: answer with an Again or an Ack."""

    at: Counter


class Reset(Frame, frozen=True, kw_only=True, tag="reset"):
    """The session is over for this reason; what came so far is all."""

    error: ErrorBody


class Close(Frame, frozen=True, kw_only=True, tag="close"):
    """The sender leaves and wants no more; the process is not touched."""


UpFrame = Data | Eof | Resize | SignalFrame | Ack | Again | Ping | Reset | Close
DownFrame = Data | Lost | Eof | Exit | Ack | Again | Ping | Reset | Close
