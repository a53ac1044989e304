"""A container whose tasks stall on memory, for as long as the test wants it to."""

from __future__ import annotations

from tests.integration.fifos import Cues, shell
from tests.integration.world import Site

from wharfside_protocol.specs import Limits

LIMIT = 16 << 20

THRASHES = """
dd if=/dev/zero of=/big bs=1M count=20
(while :; do cat /big; done >/dev/null) &
read code </cue/go
kill $!
read code </cue/go
exit $code
"""
"""Reads again and again what has just been given up: more than its limit lets it keep. Calm from
the first cue on, over at the second."""


async def thrashing(site: Site, cues: Cues) -> str:
    """Its name."""
    limits = Limits(memory_bytes=LIMIT, swap_bytes=0)
    return await site.run(shell(THRASHES), mounts=[cues.mount], limits=limits)
