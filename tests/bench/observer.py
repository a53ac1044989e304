"""Stamps the exits of processes from outside the agent: one line each, `pid code time`.

    python -m tests.bench.observer FILE [--pidfd]

The proc connector (Documentation/driver-api/connector.rst, include/uapi/linux/cn_proc.h)
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

NETLINK_CONNECTOR = 11
CN_IDX_PROC, CN_VAL_PROC = 1, 1
PROC_CN_MCAST_LISTEN = 1
PROC_EVENT_NONE, PROC_EVENT_EXIT = 0x00000000, 0x80000000
RECEIVE_BYTES = 16 << 20
ACK_SECONDS = 1.0

_NETLINK = struct.Struct("=IHHII")
_CONNECTOR = struct.Struct("=IIIIHH")
_EVENT = struct.Struct("=IIQ")
_EXIT = struct.Struct("=iiIIii")

PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, 64)
PIDFD_INFO_EXIT = 1 << 3
_PIDFD_INFO = struct.Struct("=QQ11Ii")


class ConnectorMissing(Exception):
    """The kernel does not tell process events here: no connector, no right, or a namespace."""


def exit_code(status: int) -> int:
    """A wait status as the shell has it: 128 + signal for a killed process."""
    code = os.waitstatus_to_exitcode(status & 0xFFFF)
    return code if code >= 0 else 128 - code


def connect() -> socket.socket:
    """A socket on which every process event arrives.

    Raises:
        ConnectorMissing: the kernel did not acknowledge the subscription.
    """
    try:
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_CONNECTOR)
        netlink.bind((0, CN_IDX_PROC))
    except OSError as error:
        raise ConnectorMissing(str(error)) from error
    netlink.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BYTES)  # SO_RCVBUFFORCE
    body = struct.pack("=I", PROC_CN_MCAST_LISTEN)
    message = _CONNECTOR.pack(CN_IDX_PROC, CN_VAL_PROC, 0, 0, len(body), 0) + body
    length = _NETLINK.size + len(message)
    netlink.settimeout(ACK_SECONDS)
    try:
        netlink.send(_NETLINK.pack(length, 3, 0, 0, os.getpid()) + message)
        netlink.recv(4096)  # the acknowledgement, or already an event: either will do
    except OSError as error:
        netlink.close()
        raise ConnectorMissing(str(error)) from error
    netlink.setblocking(False)
    return netlink


def parse_exit(datagram: bytes) -> tuple[int, int, int] | None:
    """(pid, code, ns) where the datagram tells the end of a process, not of a thread."""
    offset = _NETLINK.size + _CONNECTOR.size
    what, _cpu, stamp = _EVENT.unpack_from(datagram, offset)
    if what != PROC_EVENT_EXIT:
        return None
    pid, tgid, status, *_ = _EXIT.unpack_from(datagram, offset + _EVENT.size)
    return (pid, exit_code(status), stamp) if pid == tgid else None


def drain(netlink: socket.socket, out: TextIO) -> None:
    """All that has arrived. A full buffer is said in the file: figures may be missing."""
    while True:
        try:
            told = parse_exit(netlink.recv(4096))
        except BlockingIOError:
            return
        except OSError as error:
            out.write(f"lost {error.errno} {time.monotonic_ns()}\n")
            continue
        if told:
            out.write("{} {} {}\n".format(*told))


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
