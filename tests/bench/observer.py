"""Stamps the exits of processes from outside the agent: one line each, `pid code time`.

    python -m tests.bench.observer FILE [--pidfd]

The proc connector (tests/support/proc_connector.py)
tells every exit of the machine with the kernel's own CLOCK_MONOTONIC nanoseconds. Where it
is missing, or with --pidfd, the pids that stdin names are watched by pidfd instead: the time
is then that of the wake-up, a little late, so it flatters nobody by more than that. `code` is
the shell's (128 + signal), or `?` where only the end is known. Ends when stdin is closed.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from tests.support.proc_connector import ConnectorMissing, Exit, connect, exit_code, parse

PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, 64)
PIDFD_INFO_EXIT = 1 << 3
_PIDFD_INFO = struct.Struct("=QQ11Ii")


def drain(netlink: socket.socket, out: TextIO) -> None:
    """All that has arrived. A full buffer is said in the file: figures may be missing."""
    while True:
        try:
            told = parse(netlink.recv(4096))
        except BlockingIOError:
            return
        except OSError as error:
            out.write(f"lost {error.errno} {time.monotonic_ns()}\n")
            continue
        if isinstance(told, Exit):
            out.write(f"{told.pid} {told.code} {told.stamp_ns}\n")


class Pidfds:
    """The other way: pidfds of the pids that stdin names."""

    def __init__(self, selector: selectors.BaseSelector, out: TextIO) -> None:
        self._selector = selector
        self._out = out

    def watch(self, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        self._selector.register(pidfd, selectors.EVENT_READ, lambda: self._ended(pid, pidfd))

    def _ended(self, pid: int, pidfd: int) -> None:
        stamp = time.monotonic_ns()
        self._out.write(f"{pid} {pidfd_exit(pidfd)} {stamp}\n")
        self._selector.unregister(pidfd)
        os.close(pidfd)


def pidfd_exit(pidfd: int) -> str:
    """The code from PIDFD_INFO_EXIT (Linux 6.15), once reaped; `?` where it is not told."""
    buffer = bytearray(_PIDFD_INFO.pack(PIDFD_INFO_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(pidfd, PIDFD_GET_INFO, buffer)
    except OSError:
        return "?"
    fields = _PIDFD_INFO.unpack(buffer)
    return str(exit_code(fields[-1])) if fields[0] & PIDFD_INFO_EXIT else "?"


def read_stdin(selector: selectors.BaseSelector, told: Callable[[int], None]) -> None:
    """Pids as they are named, a line each; the end of stdin is the end of all."""
    data = os.read(0, 65536)
    if not data:
        selector.unregister(0)
    for word in data.split():
        told(int(word))


def main(arguments: list[str]) -> int:
    selector = selectors.DefaultSelector()
    with Path(arguments[0]).open("w") as out:
        pidfds = Pidfds(selector, out)
        watch: Callable[[int], None] = pidfds.watch
        how = "pidfd"
        if "--pidfd" not in arguments:
            try:
                netlink = connect()
            except ConnectorMissing as error:
                print(f"observer: no proc connector ({error}): pidfds", file=sys.stderr)
            else:
                selector.register(netlink, selectors.EVENT_READ, lambda: drain(netlink, out))
                watch, how = (lambda _pid: None), "connector"
        selector.register(0, selectors.EVENT_READ, lambda: read_stdin(selector, watch))
        print("ready", how, flush=True)
        while 0 in selector.get_map():
            for key, _ in selector.select():
                key.data()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
