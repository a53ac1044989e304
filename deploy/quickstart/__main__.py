"""Arguments, signals, exit status; and the last look that nothing is left on the machine."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from deploy.quickstart import leftovers
from deploy.quickstart.failures import QuickstartFailed
from deploy.quickstart.folder import Folder
from deploy.quickstart.screen import Screen
from deploy.quickstart.show import play

from wharfside_protocol.errors import WharfsideError

OK, FAILED, INTERRUPTED = 0, 1, 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="quickstart")
    parser.add_argument("--stay", action="store_true")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--called-from", type=Path, default=Path("/"))
    wanted = parser.parse_args()
    folder, screen = Folder(wanted.data.absolute()), Screen(wanted.called_from)
    try:
        lock = folder.lock()
        _refuse_leftovers(leftovers.sweep(folder), "a former run left")
        asyncio.run(_whole(folder, screen, staying=wanted.stay))
        os.close(lock)
    except QuickstartFailed as error:
        screen.error(f"quickstart: {error}")
        return FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.error("quickstart: interrupted, and everything is ended")
        return INTERRUPTED
    screen.line("quickstart: ok")
    return OK


async def _whole(folder: Folder, screen: Screen, *, staying: bool) -> None:
    """The show and the look behind it; only the first signal interrupts, none the cleaning up."""
    showing = asyncio.create_task(play(folder, screen, staying=staying))
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, _interrupt, showing)
    try:
        await showing
        _refuse_leftovers(leftovers.settle(folder), "left behind")
        folder.clear()
    except WharfsideError as error:
        raise QuickstartFailed(str(error)) from error
    finally:
        _refuse_leftovers(leftovers.sweep(folder), "cannot be removed")
        folder.hand_over()


def _interrupt(showing: asyncio.Task[None]) -> None:
    if not showing.cancelling():
        showing.cancel()


def _refuse_leftovers(left: leftovers.Leftovers, what: str) -> None:
    if left:
        raise QuickstartFailed(f"{what}: {left}")


if __name__ == "__main__":
    sys.exit(main())
