"""What a refused event means: the rule of the expected sequence.

One event of a lane is in flight at a time, each with the sequence of the one
before as its condition. Where the stream's last sequence is lower than expected,
the stream forgot (expiry, a new stream). Where it is higher, the head is nearly
always what made it so, and only its PubAck was lost; a young head is sent again
all the same, since the server still knows it by its id and so decides for certain.
"""

from __future__ import annotations

from dataclasses import dataclass

PROBE_SEQUENCE = 2**64 - 1
"""Expected by a probe: no stream is there, so nothing is stored and the last one is told."""

RECOGNIZED_NS = 240 * 1_000_000_000
"""So old an event may be to be in the stream's duplicate window (5 min), if it is stored.

The default of the setting `outbox.recognized_s`.
"""

SLEWED_NS = 60 * 1_000_000_000
"""So far back the clock may go, and an event is still within the window."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The head is in the stream, at `sequence`."""

    sequence: int


@dataclass(frozen=True, slots=True)
class SendAgain:
    """The head is not there: publish it on top of `expected`."""

    expected: int


def after_wrong_sequence(
    expected: int, actual: int, *, age_ns: int, recognized_ns: int = RECOGNIZED_NS
) -> Stored | SendAgain:
    """What to do with the head, `age_ns` old, when the server says that `actual` is the last.

    As long as the server knows the head by its id, if it has it at all, sending it again
    tells for certain: also where another agent of this node's name (a host that was
    replaced, and came back) has put something into the lane. An age below zero says that
    the clock was set back: by more than SLEWED_NS, and it is not taken for young.
    """
    known_by_id = -SLEWED_NS <= age_ns < recognized_ns
    return Stored(actual) if actual > expected and not known_by_id else SendAgain(actual)
