"""What happened must be told, however short the node is of something: it is tried until it can.

Bounded in memory: one who insists holds one event, of a process that is there anyway.
"""

from __future__ import annotations

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    wait_exponential,
)

from wharfside_agent.errors import is_shortage

log = structlog.get_logger(__name__)

WAIT = wait_exponential(multiplier=0.1, max=2)


def insist(what: str) -> AsyncRetrying:
    """Tries for ever, as long as only room, descriptors or a moment's rest are wanting."""

    def say(state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        log.warning("tried-again-later", what=what, tries=state.attempt_number, error=str(error))

    return AsyncRetrying(
        retry=retry_if_exception(is_shortage), wait=WAIT, before_sleep=say, reraise=True
    )
