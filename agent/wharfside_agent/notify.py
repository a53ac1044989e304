"""systemd's readiness and watchdog protocol (sd_notify(3)); silent where there is no systemd."""

from __future__ import annotations

import asyncio
import os
import socket


def notify(message: str) -> None:
    """Sends `READY=1`, `WATCHDOG=1`, `STOPPING=1` to the service manager."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(message.encode(), address)
        except OSError:
            # A manager that is gone must not take the agent along.
            return


def watchdog_seconds() -> float | None:
    """Half of what WatchdogSec asks for; None where it asks nothing."""
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 2_000_000 if text.isdigit() and int(text) > 0 else None


async def keep_alive() -> None:
    """Pats the watchdog from the loop itself, so that a loop that hangs is restarted."""
    every = watchdog_seconds()
    while every is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(every)
