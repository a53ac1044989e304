"""One direction of an I/O session: what may be sent, and what has come; pure, no I/O, no clock.

Go-back-n with byte credits. The sender keeps what is not acked, which is never more than the
window, so whatever the bus loses within a session can be sent again. Both sides use both classes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_frames import Ack, Again, Sequenced


@dataclass
class Outgoing:
    """What this side sends.

    Attributes:
        window: the other side's, from its last ack.
        end: where the next frame begins.
        acked: everything before it was taken.
    """

    window: int
    end: int = 0
    acked: int = 0
    _kept: deque[Sequenced] = field(default_factory=deque)

    @property
    def room(self) -> int:
        """So many bytes may be sent now; a frame without data may always be (`add`)."""
        return max(self.acked + self.window - self.end, 0)

    @property
    def all_acked(self) -> bool:
        return self.acked == self.end

    def add(self, frame: Sequenced) -> Sequenced:
        """`frame`, whose place is `end`, kept until it is acked; now send it.

        Frames without data are few (an end, an exit; resizes are made rare by who sends
        them), so they need no room.
        """
        assert frame.at == self.end
        self._kept.append(frame)
        self.end = frame.end
        return frame

    def ack(self, ack: Ack) -> None:
        """An older ack than the last changes nothing.

        Raises:
            Invalid: the ack is for what was never sent.
        """
        if ack.at > self.end:
            raise Invalid(f"ack of {ack.at}, but only {self.end} was sent")
        if ack.at < self.acked:
            return
        self.acked, self.window = ack.at, ack.window
        while self._kept and self._kept[0].end <= ack.at:
            self._kept.popleft()

    def again(self, at: int) -> Iterable[Sequenced]:
        """What was sent from `at` on, once more.

        Raises:
            Invalid: `at` is acked already, or was never sent.
        """
        if not self.acked <= at <= self.end:
            raise Invalid(f"{at} is asked for again; kept is {self.acked} to {self.end}")
        return [frame for frame in self._kept if frame.end > at]


@dataclass
class Incoming:
    """What the other side sends, in order and once.

    Attributes:
        window: bytes welcome beyond what was taken.
        expected: where the next frame must begin.
        taken: the reader has had everything before it.
    """

    window: int
    expected: int = 0
    taken: int = 0
    _told: int = 0

    def accept(self, frame: Sequenced) -> bool:
        """Whether it is the next one; False: a repeat, or one before it is missing (`again`).

        Raises:
            Invalid: it does not end where a frame may, or passes the window.
        """
        if frame.at != self.expected:
            return False
        if frame.length > 1 and frame.end > self.taken + self.window:
            raise Invalid(
                f"data up to {frame.end}, but the window ends at {self.taken + self.window}"
            )
        self.expected = frame.end
        return True

    def missing(self, at: int) -> Again | None:
        """What to ask for, where the other side's frames go up to `at`, or one begins there."""
        return Again(at=self.expected) if at > self.expected else None

    def took(self, frame: Sequenced) -> None:
        """The reader has had `frame`: its room is free."""
        self.taken = frame.end

    def ack(self, *, now: bool = False) -> Ack | None:
        """An ack, where a quarter of the window was taken since the last, or it is wanted `now`."""
        if not now and self.taken - self._told < self.window // 4:
            return None
        self._told = self.taken
        return Ack(at=self.taken, window=self.window)
