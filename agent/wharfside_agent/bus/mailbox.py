"""The node's mailbox: pulls from the durable consumer that `wharfside nodes add` makes.

The agent may ask its own consumer for messages, and nothing else: that the consumer is
lost shows by the server's answers alone. One pull is open at a time, with an inbox for
as long as the connection lasts, so that what comes late is not lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import Header

from wharfside_agent.bus.connection import NatsBus, request_of
from wharfside_agent.ports.bus import Letter, NoMailbox, Offline, Request, Undecided
from wharfside_protocol.assets import CMD

PULL_S = 2.5
"""A pull ends after so long; nats-py does not send it again after a reconnect."""

LATE_S = 0.5
"""So much later the server's word that it has ended must be here."""

ACK_S = 2.0
MAX_REASON = 256
NOBODY = "503"


class NatsLetter:
    """See ports.bus.Letter."""

    def __init__(self, client: Client, message: Msg) -> None:
        self._client = client
        self._reply = message.reply
        self.request: Request = request_of(message)

    async def ack(self) -> None:
        try:
            await self._client.request(self._reply, b"+ACK", timeout=ACK_S)
        except (NatsError, TimeoutError, OSError) as error:
            raise Undecided(repr(error)) from error

    async def terminate(self, reason: str) -> None:
        """Published by hand: `msg.term()` cannot give the reason that the advisory tells."""
        words = " ".join(reason.split())[:MAX_REASON]
        with contextlib.suppress(NatsError, OSError):
            await self._client.publish(self._reply, f"+TERM {words}".encode())


class NatsMailbox:
    """See ports.bus.Mailbox: of one stream. Made before the bus connects."""

    def __init__(self, bus: NatsBus, node: str, stream: str = CMD) -> None:
        self._ask_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{node}"
        self._client: Client | None = None
        self._inbox = ""
        self._came: asyncio.Queue[Msg] = asyncio.Queue()
        self.pending = 0
        """So many more waited in the stream when the last letter was given out."""
        self._due = 0
        self._until = 0.0
        bus.on_client(self._follow)
        bus.on_connected(self._cut)

    async def _follow(self, client: Client) -> None:
        inbox = client.new_inbox()

        async def came(message: Msg) -> None:
            self._came.put_nowait(message)

        await client.subscribe(inbox, cb=came)
        self._client, self._inbox = client, inbox

    def _cut(self) -> None:
        """A pull of the connection before this one brings nothing any more."""
        self._due = 0

    async def fetch(self, most: int) -> list[Letter]:
        client = self._client
        if client is None or not client.is_connected:
            raise Offline("not connected")
        if self._due <= 0:
            await self._pull(client, most)
        try:
            async with asyncio.timeout_at(self._until):
                messages = [await self._came.get()]
        except TimeoutError:
            self._due = 0
            return []
        while not self._came.empty():
            messages.append(self._came.get_nowait())
        return self._opened(client, messages)

    async def _pull(self, client: Client, most: int) -> None:
        body = {"batch": most, "expires": int(PULL_S * 1e9)}
        try:
            await client.publish(self._ask_subject, json.dumps(body).encode(), self._inbox)
        except (NatsError, OSError) as error:
            raise Offline(repr(error)) from error
        self._due = most
        self._until = asyncio.get_running_loop().time() + PULL_S + LATE_S

    def _opened(self, client: Client, messages: list[Msg]) -> list[Letter]:
        """The letters among `messages`; a status ends the pull, and may say that all is lost."""
        letters: list[Letter] = []
        lost: NoMailbox | None = None
        for message in messages:
            status = (message.headers or {}).get(Header.STATUS)
            if status is None:
                letters.append(NatsLetter(client, message))
                with contextlib.suppress(NatsError, ValueError):
                    self.pending = message.metadata.num_pending
                self._due -= 1
            else:
                self._due = 0
                lost = _lost(status, (message.headers or {}).get(Header.DESCRIPTION, ""))
        if lost is not None and not letters:
            raise lost
        return letters


def _lost(status: str, description: str) -> NoMailbox | None:
    """The status messages of a pull (ADR-37): most only say that it is over."""
    if status == NOBODY:
        return NoMailbox()
    if "consumer deleted" in description.lower():
        return NoMailbox(deleted=True)
    return None
