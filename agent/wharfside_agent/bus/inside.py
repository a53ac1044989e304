"""What nats-py has no public door for: the one place that knows its inside (2.16)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from nats.aio.client import Client
from nats.errors import ConnectionClosedError


def limit_unacked(client: Client, seconds: float) -> None:
    """TCP_USER_TIMEOUT on the client's socket."""
    writer = _writer(client)
    sock = writer.get_extra_info("socket") if writer is not None else None
    if sock is not None:
        with contextlib.suppress(OSError):
            milliseconds = int(seconds * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def abort(client: Client) -> None:
    """Drops the socket with what is unsent: closing it would wait for that, perhaps for ever
    (nats.py#671)."""
    writer = _writer(client)
    if writer is not None:
        with contextlib.suppress(Exception):
            writer.transport.abort()


def fail_waiting(client: Client) -> None:
    """Requests under way learn that no answer will come, instead of waiting out their time."""
    answers = getattr(client, "_resp_map", None) or {}
    for future in list(answers.values()):
        if not future.done():
            future.set_exception(ConnectionClosedError())


def heard(client: Client) -> tuple[int, int]:
    """Changes whenever anything has come from the server: messages and PONGs."""
    return client.stats["in_msgs"], getattr(client, "_pongs_received", 0)


async def ping(client: Client, answered: asyncio.Future[bool]) -> None:
    """Sends a PING whose PONG resolves `answered`, which must never be canceled.

    Not client.flush(): when that gives up it cancels its future, and the late PONG of a
    canceled one ends nats-py's reading for good.
    """
    await client._send_ping(answered)


def _writer(client: Client) -> Any:
    return getattr(getattr(client, "_transport", None), "_io_writer", None)
