"""Retry policies of the bus by name."""

from __future__ import annotations

import random

from tenacity import wait_random_exponential

CONNECT = wait_random_exponential(multiplier=0.2, max=15)
"""Between attempts to connect: spread, so that a fleet does not come back as one."""

RECONNECT_SPREAD_S = (0.1, 3.0)


def reconnect_delay() -> float:
    """Seconds before the next try of one server; never 0 (nats-py would spin)."""
    low, high = RECONNECT_SPREAD_S
    return random.uniform(low, high)
