"""The bus that never gives up: one link after another, each new, set up like the first.

Whatever ends a link (a dead server, an -ERR, silence), the way back is the same: a
random moment later a new client, with credentials read again, on which every service
and listener is set up anew. A link that is to be renewed is left for one that is made in
that same way, and only once that one stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from wharfside_agent.bus import inside, sending
from wharfside_agent.bus.finder import Finder
from wharfside_agent.bus.link import RETIRE_S, Link, quiet
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.bus.retries import first_delay
from wharfside_agent.bus.sending import conditions
from wharfside_agent.bus.service import RpcService
from wharfside_agent.ports.bus import Handler, Offline, Request
from wharfside_agent.turns import Turn
from wharfside_protocol.io_writing import Parts
from wharfside_protocol.views import BusView

log = structlog.get_logger(__name__)

SETUP_S = 10.0

WAITING_BYTES = 32 * 1024 * 1024
"""So much may wait to be heard on one subject; what a session loses so is asked for again."""

Setup = Callable[[Client], Awaitable[None]]


class NatsBus:
    """See ports.bus.Bus. `run` is its one task."""

    def __init__(self, options: BusOptions, service: RpcService) -> None:
        self._finder = Finder(options, lambda: self.server)
        self._service = service
        self._link: Link | None = None
        self._setups: list[Setup] = []
        self._tell_connected: list[Callable[[], None]] = []
        self._leaving = False
        self._retiring: set[asyncio.Task[None]] = set()
        self._slow_consumers = 0
        self.duplicates = 0
        """So many messages the stream had already, by their id: it says so in its PubAck."""

    @property
    def options(self) -> BusOptions:
        return self._finder.options

    @property
    def connected(self) -> bool:
        return self._link is not None and self._link.up

    @property
    def server(self) -> str:
        """The server's host and port; empty while there is none."""
        link = self._link
        return link.server if link is not None and link.up else ""

    def view(self) -> BusView:
        """What an operator wants to know of the connection."""
        return BusView(
            server=self.server,
            reconnects=max(self._finder.found - 1, 0),
            slow_consumers=self._slow_consumers + (self._link.slow_consumers if self._link else 0),
            last_error=self._finder.last_error,
        )

    def on_connected(self, tell: Callable[[], None]) -> None:
        self._tell_connected.append(tell)

    async def serve(self, subject: str, handler: Handler) -> None:
        async def setup(client: Client) -> None:
            await self._service.start(client, subject, handler)

        await self._add(setup)

    async def listen(self, subject: str, tell: Callable[[Request], None]) -> None:
        turn = Turn()  # nats-py calls back for all that waits without a pause

        async def heard(message: Msg) -> None:
            quiet(lambda: tell(request_of(message)))
            await turn.give_up()

        async def setup(client: Client) -> None:
            await client.subscribe(subject, cb=heard, pending_bytes_limit=WAITING_BYTES)

        await self._add(setup)

    def on_client(self, setup: Setup) -> None:
        """`setup` is called with each new client, before it is told that it is connected."""
        self._setups.append(setup)

    async def _add(self, setup: Setup) -> None:
        """Where the link is lost at this very moment, the next one is set up with it."""
        self._setups.append(setup)
        if self._link is not None and self._link.up:
            await self._set_up(self._link, [setup])

    def limit(self, requests: int) -> None:
        """So many under way at once, from the next one on."""
        self._service.limit(requests)

    def renew(self, options: BusOptions | None = None) -> None:
        """A new connection, with the files as they are then, takes the place of this one.

        The one that is there goes on until the new one stands, however long that takes, and
        then answers what it was asked. With `options` it is another way to reach the bus.
        """
        self._finder.renew(options)

    async def run(self) -> None:
        """Connects, and connects again with a new client whenever one is over."""
        while not self._leaving:
            self._service.regroup()
            link = await self._finder.find()
            if await self._set_up(link, self._setups):
                link = await self._use(link)
            await link.drop()
            if not self._leaving:
                await self._finder.pause()

    async def _use(self, link: Link) -> Link:
        """Until a connection is lost: `link`, or the last of those that have replaced it."""
        while True:
            self._link = link
            # only now: whoever reads it may ask this node
            log.info("bus-connected", server=link.server, clients=self._finder.found)
            for tell in self._tell_connected:
                quiet(tell)
            over = asyncio.create_task(link.until_over())
            successor = asyncio.create_task(self._successor())
            try:
                await asyncio.wait({over, successor}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(over)
                await _end(successor)
            self._account(link)
            if successor.cancelled():
                if not self._leaving:
                    self._finder.lost(link, over.result())
                return link
            self._retire(link)
            link = successor.result()

    async def _successor(self) -> Link:
        """A second connection, once `renew` asks for it; tried until there is one."""
        await self._finder.asked()
        while True:
            link = await self._finder.find()
            if await self._set_up(link, self._setups):
                log.info("bus-renewed", server=link.server)
                return link
            await asyncio.sleep(first_delay(self._finder.options.spread_s))

    def _retire(self, link: Link) -> None:
        retiring = asyncio.create_task(link.retire(lambda: self._service.settled(RETIRE_S)))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def _set_up(self, link: Link, setups: list[Setup]) -> bool:
        try:
            async with asyncio.timeout(SETUP_S):
                for setup in list(setups):
                    await setup(link.client)
                await inside.round_trip(link.client)
            return True
        except asyncio.CancelledError:
            await link.drop()
            raise
        except Exception as error:
            self._finder.last_error = link.last_words() or repr(error)
            log.warning("bus-not-set-up", error=self._finder.last_error)
            await link.drop()
            return False

    def _account(self, link: Link) -> None:
        self._slow_consumers += link.slow_consumers
        link.slow_consumers = 0

    async def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        message_id: str | None = None,
        expected: int | None = None,
        expected_subject: str | None = None,
        timeout_s: float = 5.0,
    ) -> int:
        all_headers = {**(headers or {}), **conditions(message_id, expected, expected_subject)}
        ack = await sending.publish(self._standing(), subject, payload, all_headers, timeout_s)
        self.duplicates += bool(ack.duplicate)
        return ack.seq

    async def tell(self, subject: str, payload: bytes | Parts) -> None:
        """Publishes without an ack to whoever listens now; lost where nobody can be reached.

        Raises:
            Invalid: the server takes no message so large.
        """
        link = self._link
        if link is not None and link.up:
            await sending.tell(link, subject, payload)

    async def round_trip(self, timeout_s: float) -> None:
        await sending.round_trip(self._standing(), timeout_s)

    def _standing(self) -> Link:
        """
        Raises:
            Offline: there is no connection.
        """
        if self._link is None or not self._link.up:
            raise Offline("not connected")
        return self._link

    async def withdraw(self, grace_s: float) -> None:
        """Takes no more requests; lets those under way end, at most `grace_s`."""
        await self._service.stop(grace_s)

    async def close(self, timeout_s: float = 2.0) -> None:
        """Lets go of the connection; what waits to be written is flushed, bounded."""
        self._leaving = True
        for retiring in self._retiring:
            retiring.cancel()
        if self._link is not None and self._link.up:
            await self._link.close(timeout_s)
        if self._retiring:
            await asyncio.wait(self._retiring, timeout=timeout_s)


def request_of(message: Msg) -> Request:
    return Request(message.subject, message.data, message.headers or {})


async def _end(task: asyncio.Task[Any]) -> None:
    """Canceled, unless it is done."""
    task.cancel()
    await asyncio.wait({task})
