"""The bus as the client uses it: kept up, with requests, pages and subscriptions.

A connection that ends for good is replaced by a new one, with the credentials
read again and everything subscribed anew. What waits for an answer when the
connection breaks is told at once; commands can be repeated under their id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_exponential,
    wait_random,
)

from wharfside_client.connection import Connection, Unsubscribe
from wharfside_client.errors import ClientError, NoResponders, ServerUnreachable, unanswered
from wharfside_client.inbox import Inbox
from wharfside_client.messages import NO_RESPONDERS, Message, Sink
from wharfside_client.settings import ServerSettings

if TYPE_CHECKING:
    from wharfside_protocol.signing import Signer


class Tap:
    """A subscription that outlives connections. `denied`: this user may not listen there."""

    def __init__(self, bus: Bus, subject: str, sink: Sink) -> None:
        self.subject = subject
        self.denied = False
        self._bus = bus
        self._sink = sink
        self._unsubscribe: Unsubscribe | None = None

    async def open(self, connection: Connection) -> None:
        self._unsubscribe = await connection.subscribe(self.subject, self._sink)

    async def close(self) -> None:
        self._bus.taps.discard(self)
        if self._unsubscribe is not None:
            await self._unsubscribe()


class Bus:
    """
    Attributes:
        taps: what is subscribed, whatever the connection.
        listeners: called after each reconnect or denial, when a subscriber must look again.
        signer: signs commands, where the settings name a key.
        denials: called with what the server denies, and the subject in lower case.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.signer: Signer | None = None
        self.taps: set[Tap] = set()
        self.listeners: set[Callable[[], None]] = set()
        self.denials: set[Callable[[str, str], None]] = set()
        self._inbox = Inbox(settings.inbox_prefix)
        self._connection = Connection(settings, self)
        self._up = asyncio.Event()
        self._ended = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._why: ClientError | None = None

    async def open(self) -> None:
        """
        Raises:
            BadSettings, Invalid: the settings cannot be used.
            ServerUnreachable, Refused: no server answers, or it does not let us in.
        """
        self.signer = self.settings.signer()
        replies = Tap(self, f"{self._inbox.prefix}.*", self._inbox.deliver)
        self.taps.add(replies)
        await self._connect()
        self._keeper = asyncio.create_task(self._keep_up(), name="wharfside-bus")

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        await self._connection.close()
        self._inbox.cut("the connection was closed")

    @property
    def clustered(self) -> bool:
        """Several servers: a stream may be without a leader for some seconds."""
        return self._connection.is_clustered

    async def request(
        self, subject: str, data: bytes, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        """One question, one answer.

        Raises:
            NoResponders: nobody listens there.
            Unanswered: no answer within `timeout_s`.
            ServerUnreachable: not connected, or cut off while waiting.
            Denied: this user may not publish there.
        """
        return (await self._exchange(subject, data, timeout_s, headers, many=False))[0]

    async def collect(self, subject: str, data: bytes, timeout_s: float) -> list[Message]:
        """One question, and all messages of the answer up to the server's status message.

        Raises:
            See `request`.
        """
        return await self._exchange(subject, data, timeout_s, None, many=True)

    async def tell(self, subject: str, data: bytes) -> None:
        """Publishes to whoever listens; without a connection it is lost."""
        with contextlib.suppress(ServerUnreachable):
            await self._connection.publish(subject, data, "", None)

    async def subscribe(self, subject: str, sink: Sink) -> Tap:
        """Hands each message on `subject` to `sink`, which must be quick and bounded.

        Raises:
            ServerUnreachable: not connected.
        """
        await self._wait_up(self.settings.connect_timeout_s)
        tap = Tap(self, subject, sink)
        await tap.open(self._connection)
        self.taps.add(tap)
        return tap

    def connected(self) -> None:
        self._up.set()
        self._tell_listeners()

    def disconnected(self) -> None:
        self._up.clear()
        self._inbox.cut("the connection to the NATS server was lost; it is being made again")

    def ended(self) -> None:
        self.disconnected()
        self._ended.set()

    def denied(self, what: str, subject: str) -> None:
        for tap in self.taps:
            if what == "subscription" and tap.subject.lower() == subject.lower():
                tap.denied = True
        self._inbox.deny(what, subject)
        for listener in list(self.denials):
            listener(what, subject.lower())
        self._tell_listeners()

    def _tell_listeners(self) -> None:
        for listener in list(self.listeners):
            listener()

    async def _exchange(
        self,
        subject: str,
        data: bytes,
        timeout_s: float,
        headers: Mapping[str, str] | None,
        *,
        many: bool,
    ) -> list[Message]:
        if not self._connection.is_connected:
            await self._wait_up(timeout_s)
        with self._inbox.expect(subject, many=many) as reply:
            await self._connection.publish(subject, data, reply.subject, headers)
            try:
                messages = await reply.messages(timeout_s)
            except TimeoutError as error:
                raise unanswered(subject, timeout_s) from error
        if messages[0].status == NO_RESPONDERS:
            raise NoResponders(f"nobody listens on {subject}", subject=subject)
        return messages

    async def _wait_up(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError as error:
            raise self._unreachable() from error

    def _unreachable(self) -> ServerUnreachable:
        """Also where a server does not let us in any more: who waits for it goes on waiting."""
        if self._why is None:
            return self._connection.unreachable()
        return ServerUnreachable(self._why.message, servers=self.settings.shown_servers)

    async def _connect(self) -> None:
        """A new connection, with all that is subscribed."""
        connection = Connection(self.settings, self)
        self._inbox.denied = None
        await connection.open()
        try:
            for tap in list(self.taps):
                await tap.open(connection)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self._why = None
        self._ended.clear()
        self.connected()

    async def _keep_up(self) -> None:
        """However long it takes, a connection that ended is followed by another."""
        while True:
            await self._ended.wait()
            await self._connection.close()
            retrying = AsyncRetrying(
                retry=retry_if_exception_type(ClientError),
                wait=wait_exponential(multiplier=0.2, max=15.0) + wait_random(0, 1.0),
                before_sleep=self._note_failure,
            )
            await retrying(self._connect)

    def _note_failure(self, state: RetryCallState) -> None:
        """A server that does not let us in any more is there: those who wait are told so."""
        error = None if state.outcome is None else state.outcome.exception()
        self._why = error if isinstance(error, ClientError) else None
