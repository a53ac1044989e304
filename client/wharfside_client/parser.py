"""Large messages from the server, put together once.

nats-py's parser appends each block to a bytearray, and cuts payloads out of that by way of another
one: three copies of every byte, a tenth of what a session in bulk costs its client.
"""

from __future__ import annotations

from nats.protocol.parser import (
    AWAITING_CONTROL_LINE,
    AWAITING_MSG_PAYLOAD,
    CRLF_SIZE,
    MSG_END,
    Parser,
)

LARGE_BYTES = 16 * 1024
"""A block that is smaller is left to nats-py: an answer, or some."""


class BlockParser(Parser):
    """nats-py's own for every line; payloads in large blocks go past its buffer."""

    def reset(self) -> None:
        super().reset()
        self._parts: list[bytes | memoryview] = []
        self._left = 0

    async def parse(self, data: bytes = b"") -> None:
        if not self._left and len(data) < LARGE_BYTES:
            await super().parse(data)
            return
        at, block = 0, memoryview(data)
        while at < len(data):
            if self.state == AWAITING_MSG_PAYLOAD:
                at += await self._take(block[at:])
            else:
                end = data.find(MSG_END, at) + 1 or len(data)
                await super().parse(data[at:end])
                at = end

    async def _take(self, rest: memoryview) -> int:
        """So much of `rest` is of the payload that is awaited, which goes on once it is whole."""
        if not self._left:
            self._left = self.needed + CRLF_SIZE - len(self.buf)
            self._parts.append(bytes(self.buf))
            self.buf.clear()
        count = min(self._left, len(rest))
        self._parts.append(rest[:count])
        self._left -= count
        if not self._left:
            await self._hand_on()
        return count

    async def _hand_on(self) -> None:
        parts, self._parts = self._parts, []
        parts.append(parts.pop()[:-CRLF_SIZE])
        payload = b"".join(parts)[: self.needed]  # the CR may have come with the block before
        headers, self.header_needed = self.header_needed, 0
        self.state = AWAITING_CONTROL_LINE
        sid, subject, reply = (self.msg_arg[name] for name in ("sid", "subject", "reply"))
        await self.nc._process_msg(
            sid, subject, reply, payload[headers:], payload[:headers] or None
        )
