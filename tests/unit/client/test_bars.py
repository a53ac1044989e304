"""The bar of `cp` and `migrate` on a real terminal, which is narrow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import termios

import pytest

SHOWN = """
from wharfside_client.cli.bars import byte_bar

with byte_bar("node-1/web:/srv/data/big.bin", quiet=False, no_color={no_color}) as bar:
    bar(10 << 20, 28 << 20)
    bar(28 << 20, 28 << 20)
"""
COLOURS = re.compile(rb"\x1b\[(3|9)[0-9]m")
UP = b"\x1b[1A"


@pytest.mark.parametrize("no_color", [True, False])
def test_it_stays_in_one_line_and_has_colours_where_they_are_wanted(no_color: bool) -> None:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 60))
    line = SHOWN.format(no_color=no_color)
    env = {"TERM": "xterm", "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", line], stderr=theirs, env=env, check=True, timeout=30)
    os.close(theirs)
    drawn = b""
    while part := _read(ours):
        drawn += part
    os.close(ours)
    assert b"28.0/28.0 MiB" in drawn
    assert UP not in drawn
    assert bool(COLOURS.search(drawn)) != no_color


def _read(fd: int) -> bytes:
    """Empty where the other end is closed and all is read: Linux says EIO then."""
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""
