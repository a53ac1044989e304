"""The client of nats-py, put right: with `transport.py` and `parser.py` all that knows its inside.

By itself it goes on in the clear, CA and `tls://` or not, where the greeting asks for no TLS:
whoever stands between could have cut that out. It reads in small pieces, and copies large ones
thrice. And it puts a queue and a task before each callback, which our own, being quick, are better
without: a twentieth of a round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client, Srv
from nats.aio.msg import Msg
from nats.errors import Error

from wharfside_client.messages import Message, Sink
from wharfside_client.parser import BlockParser
from wharfside_client.transport import BlockTransport
from wharfside_protocol.refusals import NO_TLS

UNACKED_MS = 15_000
"""Bytes unacknowledged for so long end a connection: a half-open one shows no other way."""


def _is_news(record: logging.LogRecord) -> bool:
    """asyncio warns at the end of every connection that nats-py made TLS: it means nothing."""
    return "eof_received() has no effect" not in record.msg


logging.getLogger("asyncio").addFilter(_is_news)


class NatsClient(Client):
    """
    Attributes:
        sinks: by the callback of a subscription, what takes its messages at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sinks: dict[Callable[[Msg], Awaitable[None]] | None, Sink] = {}
        self._ps = BlockParser(self)

    @property
    def is_clustered(self) -> bool:
        """The server is one of several."""
        return bool(self._server_info.get("cluster"))

    def limit_unacked(self) -> None:
        """nats-py waits without end for a half-open connection's bytes: only the socket tells."""
        writer = self._writer()
        sock = writer.get_extra_info("socket") if writer is not None else None
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_MS)

    def drop_socket(self) -> None:
        """nats-py forgets the socket of a connection that was refused, and leaves it open."""
        if (writer := self._writer()) is not None:
            # one of TLS that is closed fails there, and has no socket, before Python 3.11.4
            with contextlib.suppress(AttributeError):
                writer.transport.abort()

    def _writer(self) -> asyncio.StreamWriter | None:
        return getattr(self._transport, "_io_writer", None)

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        subscription = self._subs.get(sid)
        sink = None if subscription is None else self.sinks.get(subscription._cb)
        if sink is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            found = await self._process_headers(headers) if headers else None
            sink(Message(subject.decode(), data, found or {}))

    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport is None and s.uri.scheme in ("nats", "tls"):
            self._transport = BlockTransport()
        await super()._connect_to_server(s)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        wanted = "tls" in self.options or (server is not None and server.uri.scheme == "tls")
        if initial_connection and wanted and not info.get("tls_required"):
            raise Error(NO_TLS)
        await super()._process_info(info, initial_connection)
