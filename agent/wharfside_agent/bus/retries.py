"""Retry policies of the bus by name."""

from __future__ import annotations

import random

from tenacity import wait_random_exponential

LEAST_S = 0.05

CONNECT = wait_random_exponential(multiplier=0.2, max=15, min=LEAST_S)
"""Between attempts to connect: spread, so that a fleet does not come back as one."""


def first_delay(spread_s: float) -> float:
    """Seconds from a loss to the first try; never 0, and another for each node."""
    return random.uniform(LEAST_S, max(spread_s, 2 * LEAST_S))
