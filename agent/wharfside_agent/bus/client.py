"""nats-py's client, which goes on in the clear where it was told to use TLS.

With a CA or `tls://` it still asks the server's greeting whether there is TLS, and whoever
stands between can cut that out. This one goes no further then; no credentials were sent yet.
"""

from __future__ import annotations

import logging
from typing import Any

from nats.aio.client import Client
from nats.errors import Error

from wharfside_protocol.refusals import NO_TLS


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
