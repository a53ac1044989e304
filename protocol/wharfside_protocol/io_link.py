"""One side of an I/O session as a machine: it is told what came and what time it is, and tells
what is to be sent and when it wants to be asked again. Pure: both sides run the same one.

Whatever the bus loses comes again: a gap is asked for at once; a lost tail, and a lost ack, are
found by a Ping, which is due soon while something is not acked, and answered at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_flow import Incoming, Outgoing
from wharfside_protocol.io_frames import Ack, Again, Frame, Ping, Sequenced

ACK_DELAY_S = 0.1
"""An ack that no half of a window asks for waits so long for more to tell of."""

PROBE_S = 0.25
"""What is not acked for so long is asked about; then after twice as long, and so on."""

AGAIN_S = 0.1
"""A window is sent again at most so often, whoever asks for it."""


LOOK_S = 0.5
"""Between the two looks that find the other side gone."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. `idle_s`: without a frame for so long the other side is gone; `ping_s`: this
    side sends at least so often.
    """

    idle_s: float
    ping_s: float


class Link:
    """All times are seconds of one clock that never steps back.

    Attributes:
        out: what this side sends; `add` to it what has room.
        into: what came; take it with `next` and `took`.
        times: may be set anew once the other side has told its own.
    """

    def __init__(self, out: Outgoing, into: Incoming, times: Times, now: float) -> None:
        self.out = out
        self.into = into
        self.times = times
        self._heard = now
        self._doubted: float | None = None
        self._ping_at = now + times.ping_s
        self._probe_s = PROBE_S
        self._probe_at = math.inf
        self._ack_at = math.inf
        self._asked: int | None = None
        self._ask = False
        self._ping = False
        self._again_at = now

    def received(self, frame: Frame, now: float) -> None:
        """Takes a frame of the other side; its Reset and Close are not for this machine.

        Raises:
            Invalid: no right side sends that.
        """
        self._heard, self._doubted = now, None
        match frame:
            case Sequenced():
                self._sequenced(frame, now)
            case Ack():
                if self.out.ack(frame):
                    self._probe_s = PROBE_S
                    self._probe_at = math.inf if self.out.all_acked else now + PROBE_S
            case Again():
                self.out.again(frame.at)
            case Ping():
                self._answer(frame, now)
            case _:
                raise Invalid(f"{type(frame).__name__} is nothing to be taken here")

    def took(self, now: float) -> None:
        """The user has had what `into.next` gave."""
        at = now if self.into.took() else now + ACK_DELAY_S
        self._ack_at = min(self._ack_at, at)

    def reconnected(self, now: float) -> None:
        """Whatever was on its way may be lost, on both ways: tells and asks for all."""
        self._ack_at = now
        self._ask = self._ping = True

    def tick(self, now: float) -> bool:
        """Notes what time it is; False: the other side is gone.

        A process that was stopped, or a machine that slept, must hear first what has come
        for it since: a silence is believed at a second look, and that at its time.
        """
        if now - self._heard <= self.times.idle_s:
            return True
        if self._doubted is None or now - self._doubted > 2 * LOOK_S:
            self._doubted = now
        return now - self._doubted < LOOK_S

    def next(self, now: float) -> Frame | None:
        """The next frame to be sent; None: none before `due`."""
        frame = self._next(now)
        if frame is not None:
            self._ping_at = now + self.times.ping_s
        return frame

    @property
    def due(self) -> float:
        """Ask again for `next`, and `tick`, then: if nothing happens before. 0: now.

        It may come nearer with all that is told, and never does by itself: who sleeps until then
        needs to be woken only for an earlier one.
        """
        if self._ask or self._ping or self.out.waits:
            return 0.0
        gone_at = self._heard + self.times.idle_s + 0.01
        if self._doubted is not None:
            gone_at = self._doubted + LOOK_S
        again_at = self._again_at if self.out.wish is not None else math.inf
        return min(self._ping_at, self._probe_at, self._ack_at, again_at, gone_at)

    def _sequenced(self, frame: Sequenced, now: float) -> None:
        if self.into.accept(frame):
            self._asked = None
        elif frame.at < self.into.expected:
            self._ack_at = min(self._ack_at, now + ACK_DELAY_S)  # it may be our ack that is lost
        elif self._asked != self.into.expected:
            self._ask = True  # once: the rest of the window is out of order, too

    def _answer(self, ping: Ping, now: float) -> None:
        self._ack_at = now
        if ping.at > self.into.expected:
            self._ask = True

    def _next(self, now: float) -> Frame | None:
        if self._ack_at <= now:
            self._ack_at = math.inf
            return self.into.ack()
        if self._ask:
            self._ask, self._asked = False, self.into.expected
            return Again(at=self.into.expected)
        if self.out.wish is not None and self._again_at <= now:
            self.out.rewind()
            self._again_at = now + AGAIN_S
        frame = self.out.next()
        if frame is not None:
            self._probe_at = min(self._probe_at, now + self._probe_s)
            return frame
        return self._pinged(now)

    def _pinged(self, now: float) -> Ping | None:
        """After all that is to be sent, so that it tells the end of that."""
        if self._probe_at <= now:
            self._probe_s = min(2 * self._probe_s, self.times.ping_s)
            self._probe_at = now + self._probe_s
        elif not self._ping and self._ping_at > now:
            return None
        self._ping = False
        return Ping(at=self.out.sent)
