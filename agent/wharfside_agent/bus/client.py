"""nats-py's client, with two things put right.

It goes on in the clear where it was told to use TLS: with a CA or `tls://` it still asks the
server's greeting whether there is TLS, and whoever stands between can cut that out. This one goes
no further then; no credentials were sent yet.

It copies what it publishes twice, to put a line before it and an end behind it: a third of a
millisecond a MiB. Here what is large waits to be written as it is, between the two; also where it
comes in parts.
"""

from __future__ import annotations

import logging
from typing import Any

from nats.aio.client import Client
from nats.errors import Error

from wharfside_protocol.io_writing import Parts
from wharfside_protocol.refusals import NO_TLS

LARGE_BYTES = 16 * 1024
"""Less is copied sooner than it is handed to the kernel in three parts."""

_END = b"\r\n"


def _is_news(record: logging.LogRecord) -> bool:
    """asyncio warns at the end of every connection that nats-py made TLS: it means nothing."""
    return "eof_received() has no effect" not in record.msg


logging.getLogger("asyncio").addFilter(_is_news)


class StrictClient(Client):
    """`connect` raises nats-py's `Error` with NO_TLS where TLS is wanted and not offered."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        wanted = "tls" in self.options or (server is not None and server.uri.scheme == "tls")
        if initial_connection and wanted and not info.get("tls_required"):
            raise Error(NO_TLS)
        await super()._process_info(info, initial_connection)

    async def _send_publish(
        self,
        subject: str,
        reply: str,
        payload: bytes | Parts,
        payload_size: int,
        headers: dict[str, Any] | None,
    ) -> None:
        if headers is not None or payload_size < LARGE_BYTES:
            await super()._send_publish(subject, reply, bytes(payload), payload_size, headers)
            return
        parts = payload.parts if isinstance(payload, Parts) else (payload,)
        head = f"PUB {subject} {reply} {payload_size}\r\n".encode()
        # all of them before anything is awaited: nobody else's words come between them
        self._pending += (head, *parts)
        self._pending_data_size += len(head) + payload_size
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += payload_size
        await self._send_command(_END)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()
