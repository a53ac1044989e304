"""Where a reader of the event stream stands: pure, and told of sequences alone.

The live subscription is a doorbell: a message may be missed, doubled or late.
What the stream has stored is the truth, and its sequences have no holes (no
delete, no purge): a live message that follows the last one may be handed on as
it is, any other means that the stream must be read.
"""

from __future__ import annotations

from dataclasses import dataclass


class SequenceReset(Exception):
    """A newer message has an older sequence: the stream was made anew."""


@dataclass(slots=True)
class Cursor:
    """
    Attributes:
        last: the sequence of the last message handed on; the resume token.
        last_ns: its time in the stream, nanoseconds; None where that is not known.
        heard: the highest sequence that rang.
    """

    last: int
    last_ns: int | None = None
    heard: int = 0

    @property
    def behind(self) -> bool:
        """Something was stored that has not been handed on."""
        return self.heard > self.last

    def ring(self, seq: int, time_ns: int) -> bool:
        """Whether the live message `seq` is the very next one, to be handed on now.

        Raises:
            SequenceReset: its time says that it cannot be an old one.
        """
        if seq <= self.last:
            if self.last_ns is None or time_ns > self.last_ns:
                raise SequenceReset
            return False
        self.heard = max(self.heard, seq)
        return seq == self.last + 1 and self.take(seq, time_ns)

    def contradicts(self, seq: int, time_ns: int) -> bool:
        """Whether a stream that has message `seq` cannot be the one that was read up to here.

        A lower sequence alone proves nothing: a replica that lags answers so too.
        """
        if self.last_ns is None:
            return False
        if seq == self.last:
            return time_ns != self.last_ns
        return seq < self.last and time_ns > self.last_ns

    def take(self, seq: int, time_ns: int) -> bool:
        """Whether message `seq`, read from the stream, is new; then it is the last one now."""
        if seq <= self.last:
            return False
        self.last, self.last_ns = seq, time_ns
        return True
