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


async def drain(client: Client, except_below: str) -> None:
    """Ends every subscription but those below a prefix, and takes what has come on them.

    Not Subscription.drain(): its PING overtakes its UNSUB, and what comes in between is dropped.
    """
    subscriptions: list[Any] = list(client._subs.values())
    ending = [sub for sub in subscriptions if not sub.subject.startswith(except_below)]
    for sub in ending:
        await client._send_unsubscribe(sub._id)
    await round_trip(client)
    for sub in ending:
        await sub._pending_queue.join()
        sub._stop_processing()
        client._remove_sub(sub._id)


async def answered(client: Client) -> None:
    """Until the requests under way have their answers."""
    answers = getattr(client, "_resp_map", None) or {}
    if waiting := [future for future in answers.values() if not future.done()]:
        await asyncio.wait(waiting)


def heard(client: Client) -> tuple[int, int]:
    """Changes whenever anything has come from the server: messages and PONGs."""
    return client.stats["in_msgs"], getattr(client, "_pongs_received", 0)


async def round_trip(client: Client) -> None:
    """Until the server has taken all that was sent to it.

    Not client.flush(): it writes its PING at once, before what waits to be written. And when it
    gives up it cancels its future; the late PONG of a canceled one ends nats-py's reading for good.
    """
    await client._flush_pending(force_flush=True)
    answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    await client._send_ping(answered)
    await asyncio.wait({answered})


def _writer(client: Client) -> Any:
    return getattr(getattr(client, "_transport", None), "_io_writer", None)
