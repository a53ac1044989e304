"""Raw mode is put back whatever ends it; a new size is told. A real terminal and process."""

from __future__ import annotations

import os
import signal
import termios

import pytest
from tests.support.screen import open_screen

from wharfside_client.cli.errors import NoTerminal
from wharfside_client.cli.terminal import RawTerminal, size_of

HOLDER = """
import asyncio, os, sys
from wharfside_client.cli.signals import Signals
from wharfside_client.cli.terminal import RawTerminal

async def main(what):
    with Signals(proxy=False) as signals, RawTerminal(0) as terminal:
        os.write(1, b"raw\\r\\n")
        if what == "crash":
            raise RuntimeError("a fault of ours")
        if what == "sizes":
            while True:
                size = await terminal.resized()
                os.write(1, b"%d rows\\r\\n" % size.rows)
        number = await signals.left
    raise SystemExit(128 + number)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (signal.SIGTERM, 143),
        (signal.SIGHUP, 129),
        (signal.SIGINT, 130),
        (signal.SIGQUIT, 131),
        (None, 1),
    ],
)
async def test_the_terminal_is_as_it_was_whatever_ends_it(
    end: signal.Signals | None, status: int
) -> None:
    what = "wait" if end else "crash"
    async with open_screen(HOLDER, [what], env=dict(os.environ)) as screen:
        before = screen.modes
        await screen.shows("raw")
        if end is not None:
            assert screen.is_raw
            assert screen.process is not None
            screen.process.send_signal(end)
        assert await screen.ended() == status, screen.framed()
        assert screen.modes == before


async def test_a_new_size_is_told_and_a_stopped_one_is_made_raw_again() -> None:
    async with open_screen(HOLDER, ["sizes"], env=dict(os.environ)) as screen:
        before = screen.modes
        await screen.shows("raw")
        screen.resize(50, 200)
        await screen.shows("50 rows")
        # what a shell does with a job that was stopped
        termios.tcsetattr(screen.theirs, termios.TCSANOW, before)
        screen.resize(30, 100)
        await screen.shows("30 rows")
        assert not screen.is_raw
        assert screen.process is not None
        screen.process.send_signal(signal.SIGCONT)
        await screen.until(lambda: screen.text.count("30 rows") == 2, "the size once more")
        assert screen.is_raw


async def test_what_is_no_terminal_has_no_size_and_is_refused() -> None:
    reading, writing = os.pipe()
    ours, theirs = os.openpty()
    try:
        assert size_of(reading) is None
        assert size_of(theirs) is None  # a new one knows none
        termios.tcsetwinsize(theirs, (2000, 80))
        size = size_of(theirs)
        assert size is not None and (size.rows, size.columns) == (1000, 80)
        with pytest.raises(NoTerminal), RawTerminal(reading):
            pass
    finally:
        for fd in (reading, writing, ours, theirs):
            os.close(fd)
