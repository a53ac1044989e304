"""The node's end of WHARFSIDE_CKPT: words of other nodes in, our own out.

What is said may be lost, on its way or with the agent that has fetched it: who needs an answer
says it again. What comes is taken up in its order.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from wharfside_agent.ports.bus import Bus, BusError, Letter, Mailbox
from wharfside_agent.services.insistence import Insistence
from wharfside_protocol.carriage import Carried as CarriedWord
from wharfside_protocol.carriage import (
    FromA,
    FromB,
    Have,
    NeverHere,
    Piece,
    RunsHere,
    Word,
    word_of,
)
from wharfside_protocol.codec import encode_bulk
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.subjects import Subjects

log = structlog.get_logger(__name__)

AGAIN = wait_random_exponential(multiplier=0.5, max=10)
BATCH = 64
SAY_S = 3.0
TRIES = 3
TROUBLE_S = 1.0
AT_ONCE_S = 0.1

_OF_B = (Have, CarriedWord, RunsHere, NeverHere)

HearA = Callable[[str, str, FromA], Awaitable[None]]
HearB = Callable[[str, str, FromB], Awaitable[None]]
"""(from node, migration, word)."""


class Carriage:
    """`run` is its one task, begun once both `hear` functions are set."""

    def __init__(
        self, mailbox: Mailbox, bus: Bus, subjects: Subjects, node: str, insistence: Insistence
    ) -> None:
        self._mailbox = mailbox
        self._bus = bus
        self._subjects = subjects
        self._node = node
        self._insistence = insistence
        self._numbers = itertools.count(time.time_ns() // 1000)
        self._hear_a: HearA | None = None
        self._hear_b: HearB | None = None

    def hear(self, of_a: HearA, of_b: HearB) -> None:
        """`of_a`: what sources say to us as their target; `of_b`: what targets say to us."""
        self._hear_a, self._hear_b = of_a, of_b

    async def say(self, target: str, migration: str, word: Word) -> None:
        """Stored in the stream when this returns.

        Raises:
            BusError: it may or may not be.
        """
        number = word.offset if isinstance(word, Piece) else next(self._numbers)
        subject = self._subjects.carriage(self._node, target, migration, number)
        await self._bus.publish(subject, encode_bulk(word), timeout_s=SAY_S)

    async def mention(self, target: str, migration: str, word: Word) -> None:
        """As `say`, a few times; a word that is lost all the same is asked for by its hearer."""
        for _ in range(TRIES):
            try:
                await self.say(target, migration, word)
                return
            except BusError as error:
                log.info("not-said", migration=migration, word=type(word).__name__, why=str(error))
                await self.nap(TROUBLE_S)

    async def nap(self, seconds: float) -> None:
        """Waits so long, or until the bus is back."""
        await self._insistence.nap(seconds)

    async def run(self) -> None:
        while True:
            try:
                await self._round()
            except Exception as error:
                log.error("carriage-trouble", exc_info=error)
                await asyncio.sleep(TROUBLE_S)

    async def _round(self) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(BusError), wait=AGAIN, sleep=self._insistence.nap
        ):
            with attempt:
                began = time.monotonic()
                letters = await self._mailbox.fetch(BATCH)
                if not letters and time.monotonic() - began < AT_ONCE_S:
                    await self._insistence.nap(TROUBLE_S)
        for letter in letters:
            await self._take(letter)

    async def _take(self, letter: Letter) -> None:
        """Whatever is wrong with one word, the next is heard."""
        subject = letter.request.subject
        try:
            source, migration = self._subjects.carriage_of(subject, self._node)
            word = word_of(letter.request.data)
            assert self._hear_a is not None and self._hear_b is not None
            if isinstance(word, _OF_B):
                await self._hear_b(source, migration, word)
            else:
                await self._hear_a(source, migration, word)
        except WharfsideError as error:
            log.warning("word-refused", subject=subject, why=error.message)
        except Exception as error:
            log.error("word-failed", subject=subject, exc_info=error)
