"""What comes from the server, handed to nats-py in the blocks in which it came.

nats-py reads 32 KiB at a time from asyncio's StreamReader. That copies every byte twice more, and
stops and starts the socket for every second of them: half of what nats-py costs in bulk.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

KEPT_BYTES = 1024 * 1024
"""With more than this that is not read yet, the socket is left alone."""


class BlockReader(asyncio.StreamReader):
    """As far as nats-py uses one. `read` gives the next block, however large."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: deque[bytes] = deque()
        self._size = 0
        self._source: asyncio.BaseTransport | None = None
        self._came = asyncio.Event()

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        super().set_transport(transport)
        self._source = transport

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]
        self._blocks.append(data)
        self._size += len(data)
        self._came.set()
        if self._size > KEPT_BYTES and isinstance(self._source, asyncio.ReadTransport):
            self._source.pause_reading()

    def feed_eof(self) -> None:
        super().feed_eof()
        self._came.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self._came.set()

    def at_eof(self) -> bool:
        return super().at_eof() and not self._blocks

    async def read(self, n: int = -1) -> bytes:
        while not self._blocks:
            if (error := self.exception()) is not None:
                raise error
            if self.at_eof():
                return b""
            self._came.clear()
            await self._came.wait()
        return self._taken()

    async def readline(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and (block := await self.read()):
            head, newline, rest = block.partition(b"\n")
            line += head + newline
            if rest:
                self._blocks.appendleft(rest)
                self._size += len(rest)
        return line

    def _taken(self) -> bytes:
        block = self._blocks.popleft()
        before, self._size = self._size, self._size - len(block)
        if before > KEPT_BYTES >= self._size and isinstance(self._source, asyncio.ReadTransport):
            self._source.resume_reading()
        return block


class BlockTransport(TcpTransport):
    """nats-py's own, but for its reader."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __bool__(self) -> bool:
        """True before it is connected, too: nats-py would else take one of its own."""
        return True

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        reader = BlockReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        connecting = asyncio.get_running_loop().create_connection(
            lambda: protocol, uri.hostname or "", uri.port or 0
        )
        transport, _ = await asyncio.wait_for(connecting, connect_timeout)
        self._use(transport, protocol, reader)
        # kept where TLS takes their place: without them the socket is closed
        self._bare_io_reader, self._bare_io_writer = self._io_reader, self._io_writer

    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,
        connect_timeout: int,
    ) -> None:
        assert self._io_writer is not None
        reader = BlockReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        connecting = asyncio.get_running_loop().start_tls(
            self._io_writer.transport,
            protocol,
            ssl_context,
            server_hostname=uri if isinstance(uri, str) else uri.hostname,
        )
        transport = await asyncio.wait_for(connecting, connect_timeout)
        assert transport is not None
        reader.set_transport(transport)
        self._use(transport, protocol, reader)

    def _use(
        self,
        transport: asyncio.WriteTransport,
        protocol: asyncio.StreamReaderProtocol,
        reader: BlockReader,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._io_reader = reader
        self._io_writer = asyncio.StreamWriter(transport, protocol, reader, loop)
