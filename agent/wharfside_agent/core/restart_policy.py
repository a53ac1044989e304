"""Whether and when a container that is over is started again by itself. Pure.

The policies are docker's. Where a status is not known it is no success: `on-failure`
starts again what nobody saw succeed.
"""

from __future__ import annotations

from dataclasses import dataclass

from wharfside_protocol.event_facts import WhyNotRestarting as Why
from wharfside_protocol.specs import Restart

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 60.0
STEADY_S = 10.0
"""A run of so long was no part of a row of crashes: the delays begin anew."""

SPREAD = 0.2
"""Delays are drawn up to so much shorter: what crashed together does not start together."""


@dataclass(frozen=True, slots=True)
class Over:
    """How a run ended.

    Attributes:
        exit_code: None where it cannot be known, or where the run never came to be.
        ran_s: from its start to its end; 0 where it never ran.
        held: why its end, or its staying ended, was asked for; None where it was not.
        booted: the node was booted anew since.
    """

    exit_code: int | None
    ran_s: float
    held: Why | None = None
    booted: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """What the policy has done since the last start by command.

    Attributes:
        attempts: restarts in all; `max_retries` bounds it.
        streak: those in a row after runs shorter than STEADY_S; the delays grow with it.
    """

    attempts: int = 0
    streak: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """Start it in `delay_s`; `tally` counts that restart already."""

    delay_s: float
    tally: Tally


@dataclass(frozen=True, slots=True)
class Rests:
    why: Why


def decide(policy: Restart, over: Over, tally: Tally, lot: float) -> Again | Rests:
    """What becomes of a container whose run is over; `lot` in [0, 1) draws the jitter."""
    why = _why_not(policy, over, tally)
    if why is not None:
        return Rests(why)
    streak = 0 if over.ran_s >= STEADY_S else tally.streak
    counted = Tally(tally.attempts + 1, streak + 1)
    return Again(delay_s(streak, lot), counted)


def delay_s(streak: int, lot: float) -> float:
    """Doubled with each short run before, at most LONGEST_DELAY_S."""
    doublings = min(streak, 16)  # 2**16 x 0.1 s is far beyond the longest
    return min(FIRST_DELAY_S * 2.0**doublings, LONGEST_DELAY_S) * (1 - SPREAD * lot)


def _why_not(policy: Restart, over: Over, tally: Tally) -> Why | None:
    if over.held is not None and not _comes_back(policy, over):
        return over.held
    match policy.policy:
        case "always" | "unless-stopped":
            return None
        case "on-failure":
            if over.exit_code == 0:
                return Why.POLICY
            spent = policy.max_retries is not None and tally.attempts >= policy.max_retries
            return Why.MAX_RETRIES if spent else None
        case _:
            return Why.POLICY


def _comes_back(policy: Restart, over: Over) -> bool:
    """`always` outlives a stop by command at the next boot; never one for safe placement."""
    return policy.policy == "always" and over.booted and over.held is Why.STOPPED
