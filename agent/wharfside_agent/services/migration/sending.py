"""An image on its way to another node: go-back-n, with a window of pieces in memory at most.

The receiver says how far it is; what it does not have is sent again, from wherever that is:
after a lost message, a broken connection, or the death of either agent it is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from wharfside_agent.ports.bus import BusError
from wharfside_agent.ports.images import Outgoing
from wharfside_protocol.carriage import PIECE_BYTES, WINDOW_PIECES

log = structlog.get_logger(__name__)

WINDOW = WINDOW_PIECES * PIECE_BYTES
SIDE_BY_SIDE = 8
"""Pieces that wait for their PubAck at once."""

ASK_S = 2.0
"""So long without a word of the receiver, and it is asked how far it is."""

TROUBLE_S = 0.5


class Sending:
    """`offer` and `piece` say a word, and may raise BusError; `run` until it is canceled.

    `came` is told how many bytes the receiver has, of how many, each time that there are more.
    """

    def __init__(
        self,
        image: Outgoing,
        offer: Callable[[], Awaitable[None]],
        piece: Callable[[int, bytes], Awaitable[None]],
        nap: Callable[[float], Awaitable[None]],
        came: Callable[[int, int], None],
    ) -> None:
        self._image = image
        self._offer = offer
        self._piece = piece
        self._nap = nap
        self._came = came
        self._known = False
        self._sent = 0
        self._news = asyncio.Event()
        self.acked = 0
        self.total = image.total

    def heard(self, received: int, *, again: bool) -> None:
        """The receiver has all before `received`."""
        if received > self.total:
            return
        if again:
            self.acked = self._sent = received
        else:
            self.acked = max(self.acked, received)
            self._sent = max(self._sent, received)
        self._known = True
        self._news.set()
        self._came(self.acked, self.total)

    async def run(self) -> None:
        """
        Raises:
            WharfsideError, OSError: the image cannot be read.
        """
        while True:
            self._news.clear()
            try:
                await (self._pump() if self._known else self._offer())
            except BusError as error:
                log.info("image-waits", sent=self._sent, total=self.total, why=str(error))
                self._known = False
                await self._nap(TROUBLE_S)
                continue
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(ASK_S):
                await self._news.wait()
        except TimeoutError:
            self._known = False

    async def _pump(self) -> None:
        """Fills the window; a piece is read while those before it are on their way."""
        flying: set[asyncio.Future[None]] = set()
        try:
            while self._sent < min(self.total, self.acked + WINDOW):
                self._news.clear()
                at = self._sent
                data = await self._image.read(at, PIECE_BYTES)
                if self._sent != at:  # the receiver wants another one meanwhile
                    continue
                flying.add(asyncio.ensure_future(self._piece(at, data)))
                self._sent += len(data)
                if len(flying) >= SIDE_BY_SIDE:
                    flying = await _some(flying)
        finally:
            await _all(flying)


async def _some(work: set[asyncio.Future[None]]) -> set[asyncio.Future[None]]:
    """Those that go on, once one is over; raises its error."""
    over, going = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    for each in over:
        if (error := each.exception()) is not None:
            await _all(going)
            raise error
    return going


async def _all(work: set[asyncio.Future[None]]) -> None:
    """Raises the first error once all are over: none is left behind."""
    if not work:
        return
    try:
        await asyncio.wait(work)
    except asyncio.CancelledError:
        for each in work:
            each.cancel()
        await asyncio.wait(work)
        raise
    for each in work:
        if (error := each.exception()) is not None:
            raise error
