"""The way to a server: one round of all of them after another, until one lets us in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from wharfside_agent.bus.link import CONNECT_FAILURES, Link
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.bus.retries import CONNECT, first_delay
from wharfside_agent.bus.servers import Servers
from wharfside_protocol.refusals import refusal

log = structlog.get_logger(__name__)


class Finder:
    """`present` tells the server of the connection that stands; empty while there is none."""

    def __init__(self, options: BusOptions, present: Callable[[], str]) -> None:
        self._options = options
        self._present = present
        self._servers = Servers(options.servers)
        self._unanswered_s = options.unanswered_s
        self._renewal = asyncio.Event()
        self.found = 0
        """So many connections have been made."""
        self.last_error: str | None = None
        """Of a connection, or of the last try of one."""

    @property
    def options(self) -> BusOptions:
        return self._options

    def renew(self, options: BusOptions | None) -> None:
        """Asks for another connection, with `options` by another way than so far."""
        if options is not None:
            self._options = options
            self._unanswered_s = options.unanswered_s
            self._servers.configure(options.servers)
        self._renewal.set()

    async def asked(self) -> None:
        """Until another connection is asked for."""
        await self._renewal.wait()

    def lost(self, link: Link, why: str) -> None:
        """`link` is over: its server comes last, those that it told of are tried, too."""
        self.last_error = why
        found = [url.geturl() for url in link.client.discovered_servers]
        self._servers.lost(link.server, found)
        # A stream without a leader answers nobody: new clients are no help, so fewer of them
        base = self._options.unanswered_s
        self._unanswered_s = base if link.answered else 2 * self._unanswered_s
        log.warning("bus-disconnected", error=why, next="a new client, after a random while")

    async def find(self) -> Link:
        """A new connection, however long that takes."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(CONNECT_FAILURES),
            wait=CONNECT,
            sleep=self._nap,
            before_sleep=self._tell_unreachable,
        ):
            with attempt:
                return await self._try_round()
        raise AssertionError("retries never end")

    async def pause(self) -> None:
        """After a loss: a random while, or until there is something new to try."""
        await self._nap(first_delay(self._options.spread_s))

    async def _nap(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._renewal.wait(), seconds)

    async def _try_round(self) -> Link:
        """Every server once.

        Raises:
            one of CONNECT_FAILURES: what the last of them said.
        """
        self._renewal.clear()
        *others, last = self._servers.round(self._present())
        for server in others:
            with contextlib.suppress(*CONNECT_FAILURES):
                return await self._try(server)
        return await self._try(last)

    async def _try(self, server: str) -> Link:
        link = Link(self._options, self._unanswered_s)
        try:
            await link.open(server)
        except CONNECT_FAILURES as error:
            self.last_error = repr(link.last_error or error)
            raise
        self.found += 1
        return link

    def _tell_unreachable(self, state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        found = refusal(f"{error!r} {self.last_error}")
        advice = {} if found is None else {"advice": found.advice}
        what = "bus-not-renewed" if self._present() else "bus-unreachable"
        log.warning(what, error=repr(error), cause=self.last_error, **advice)
