"""One direction of an I/O session: what may be sent, and what has come; pure, no I/O, no clock.

Go-back-n with byte credits. The sender keeps what is not acked, which is never more than the
window, so whatever the bus loses within a session can be sent again. Both sides use both classes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_frames import CHUNK_BYTES, Ack, Data, Eof, Sequenced

MAX_FRAMES = 1024
"""So many may be on their way: those without data need no room in the window."""


class _Placed(NamedTuple):
    """A frame, where the next one begins, and its bytes of data: counted once, as a frame of lines
    has a thousand chunks."""

    frame: Sequenced
    end: int
    size: int


def _placed(frame: Sequenced) -> _Placed:
    size = frame.size
    return _Placed(frame, frame.at + size + frame.cost, size)


@dataclass
class Outgoing:
    """What this side sends.

    Attributes:
        limit: no more is kept than this, however wide the other side's window is.
        window: the other side's, from its last ack.
        end: where the next frame begins.
        sent: where the next frame to be sent begins, which may be one to be sent again.
        acked: everything before it was taken.
        taken: so many bytes of data, of all frames that were acked.
        over: its data ended with an Eof; a resize or a signal may follow.
        wish: from here on the other side wants it again; see `rewind`.
    """

    limit: int
    window: int
    end: int = 0
    sent: int = 0
    acked: int = 0
    taken: int = 0
    over: bool = False
    wish: int | None = None
    _kept: deque[_Placed] = field(default_factory=deque)
    _next: int = 0

    @property
    def room(self) -> int:
        """So many bytes may be added now; data that is more than it, too, where it is not 0."""
        if len(self._kept) >= MAX_FRAMES - 1:
            return 0
        return max(self.acked + self.window - self.end, 0)

    @property
    def worth(self) -> int:
        """With less room than this it is better to wait for an ack than to send crumbs."""
        return max(min(CHUNK_BYTES // 2, self.window // 4), 1)

    @property
    def full(self) -> bool:
        """Not even a frame without data may be added; it needs no room otherwise."""
        return len(self._kept) >= MAX_FRAMES

    @property
    def waits(self) -> bool:
        """There is a `next`."""
        return self._next < len(self._kept)

    @property
    def all_acked(self) -> bool:
        return self.acked == self.end

    def add(self, frame: Sequenced) -> int:
        """Keeps `frame`, whose place is `end`, until it is acked; `next` gives it out. Its size."""
        assert frame.at == self.end and not self.full
        assert not (self.over and isinstance(frame, Data | Eof))
        placed = _placed(frame)
        self._kept.append(placed)
        self.end = placed.end
        self.over = self.over or isinstance(frame, Eof)
        return placed.size

    def next(self) -> Sequenced | None:
        """The next frame to be sent, or to be sent again."""
        if not self.waits:
            return None
        placed = self._kept[self._next]
        self._next += 1
        self.sent = placed.end
        return placed.frame

    def ack(self, ack: Ack) -> bool:
        """Whether it tells of anything new; one that is older than the last changes nothing.

        Raises:
            Invalid: the ack is for what was never sent.
        """
        if ack.at > self.end:
            raise Invalid(f"ack of {ack.at}, but only {self.end} was sent")
        if ack.at < self.acked:
            return False
        new = ack.at > self.acked
        self.acked, self.window = ack.at, min(ack.window, self.limit)
        while self._kept and self._kept[0].end <= ack.at:
            self.taken += self._kept.popleft().size
            self._next = max(self._next - 1, 0)
        return new

    def again(self, at: int) -> None:
        """Everything from `at` on is wanted once more.

        Raises:
            Invalid: it was never sent.
        """
        if at > self.end:
            raise Invalid(f"{at} is asked for again, but only {self.end} was sent")
        self.wish = at

    def rewind(self) -> None:
        """Grants the wish: `next` goes on from there. A late one, of what is acked, is none."""
        at, self.wish = self.wish, None
        if at is None or at < self.acked:
            return
        while self._next and self._kept[self._next - 1].end > at:
            self._next -= 1
            self.sent = self._kept[self._next].frame.at


@dataclass
class Incoming:
    """What the other side sends, in order and once.

    Attributes:
        window: bytes welcome beyond what was taken; no more than the other side keeps, or it
            would wait for acks.
        expected: where the next frame must begin.
        taken: the reader has had everything before it.
        over: an Eof came, and no data may any more.
    """

    window: int
    expected: int = 0
    taken: int = 0
    over: bool = False
    _told: int = 0
    _waiting: deque[_Placed] = field(default_factory=deque)
    _frames: int = 0

    def accept(self, frame: Sequenced) -> bool:
        """Whether it is the next one; False: a repeat, or one before it is missing.

        Raises:
            Invalid: it is more than is welcome, or something after the end.
        """
        if frame.at != self.expected:
            return False
        if self.over and isinstance(frame, Data | Eof):
            raise Invalid(f"data at {frame.at}, but the stream ended before it")
        if len(self._waiting) >= MAX_FRAMES:
            raise Invalid(f"more than {MAX_FRAMES} frames are not acked yet")
        if isinstance(frame, Data) and frame.at >= self.taken + self.window:
            raise Invalid(f"data at {frame.at}, but the window ends at {self.taken + self.window}")
        placed = _placed(frame)
        self.expected = placed.end
        self.over = self.over or isinstance(frame, Eof)
        self._waiting.append(placed)
        return True

    def next(self) -> Sequenced | None:
        """The next frame for the reader; once it is done with it, `took`."""
        return self._waiting[0].frame if self._waiting else None

    def took(self) -> bool:
        """The reader has had what `next` gave; whether it is time for an ack."""
        self.taken = self._waiting.popleft().end
        self._frames += 1
        half = self.taken - self._told >= max(self.window // 2, 1)
        return half or self._frames >= MAX_FRAMES // 4

    @property
    def untold(self) -> bool:
        """Something was taken that no ack has told of."""
        return self.taken > self._told

    def ack(self) -> Ack:
        """Tells how far the reader is."""
        self._told, self._frames = self.taken, 0
        return Ack(at=self.taken, window=self.window)
