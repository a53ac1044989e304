"""Marks the named steps of work that touches the world, and dies at one if told to.

Tests set WHARFSIDE_TEST_KILL_AT to a step: the agent then ends itself there as
kill -9 would, so that recovery is tested at each step and not only at random.
"""

from __future__ import annotations

import os
import signal

from wharfside_agent.core.journal import Step

KILL_AT_VARIABLE = "WHARFSIDE_TEST_KILL_AT"


class Journal:
    """`kill_at`: the step at which the agent dies; None in every real life."""

    def __init__(self, kill_at: Step | None = None) -> None:
        self._kill_at = kill_at

    def reached(self, step: Step) -> None:
        if step is self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def journal_from_environment() -> Journal:
    """The journal that WHARFSIDE_TEST_KILL_AT asks for; ValueError on an unknown step."""
    wanted = os.environ.get(KILL_AT_VARIABLE)
    return Journal(Step(wanted) if wanted else None)
