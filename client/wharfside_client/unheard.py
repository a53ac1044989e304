"""Whether a node stays silent for a while: what is to be known before its work is placed elsewhere.

Counted by this side's own clock, which nobody sets, and only while a server answers: who is cut
off himself hears nobody, and must not take that for their silence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from wharfside_client.errors import NodeUnreachable, ServerUnreachable, Unanswered
from wharfside_protocol.errors import WharfsideError

EVERY_S = 5.0
"""Between two looks."""
ANSWER_S = 2.0

Ping = Callable[[float], Awaitable[object]]
LastPut = Callable[[], Awaitable[int | None]]


async def unheard(ping: Ping, last_put: LastPut, for_s: float, every_s: float) -> bool:
    """True after `for_s` without a sign of life; False at the first: an answer, or another put.

    `ping` takes its patience in seconds; `last_put` tells the sequence of the node's presence.
    The count begins anew whenever no server answers, and so may take for ever.

    Raises:
        NotSetUp, Denied: presences cannot be read.
    """
    while True:
        try:
            return await _counted(ping, last_put, for_s, every_s)
        except (ServerUnreachable, Unanswered):
            await asyncio.sleep(every_s)


async def _counted(ping: Ping, last_put: LastPut, for_s: float, every_s: float) -> bool:
    """The pause comes first: whoever asks again and again does so once in `every_s`. The bus is
    read last: that it answers is the proof that we were not cut off as the node was asked."""
    put, until = await last_put(), time.monotonic() + for_s
    while (left_s := until - time.monotonic()) > 0:
        await asyncio.sleep(min(every_s, left_s))
        if await _answers(ping) or await last_put() != put:
            return False
    return True


async def _answers(ping: Ping) -> bool:
    """Any answer is one, also that it has too much to do."""
    try:
        await ping(ANSWER_S)
    except (NodeUnreachable, Unanswered):
        return False
    except ServerUnreachable:
        raise
    except WharfsideError:
        return True
    return True
