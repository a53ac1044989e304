"""The kernel's own word on processes: the proc connector (needs root).

Documentation/driver-api/connector.rst and include/uapi/linux/cn_proc.h. Every end of a process,
and every name that one gives itself, arrives with the kernel's own CLOCK_MONOTONIC nanoseconds.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

NETLINK_CONNECTOR = 11
CN_IDX_PROC, CN_VAL_PROC = 1, 1
PROC_CN_MCAST_LISTEN = 1
PROC_EVENT_COMM, PROC_EVENT_EXIT = 0x00000200, 0x80000000
RECEIVE_BYTES = 16 << 20
ACK_SECONDS = 1.0

_NETLINK = struct.Struct("=IHHII")
_CONNECTOR = struct.Struct("=IIIIHH")
_EVENT = struct.Struct("=IIQ")
_EXIT = struct.Struct("=iiIIii")
_COMM = struct.Struct("=ii16s")
_BODY = _NETLINK.size + _CONNECTOR.size


class ConnectorMissing(Exception):
    """The kernel does not tell process events here: no connector, no right, or a namespace."""


class Exit(NamedTuple):
    """A process, not a thread, is over; `status` is as wait(2) has it."""

    pid: int
    status: int
    stamp_ns: int

    @property
    def code(self) -> int:
        return exit_code(self.status)

    @property
    def signal(self) -> int:
        """0 where it ended by itself."""
        return self.status & 0x7F


class Comm(NamedTuple):
    """A process has given itself a name (prctl(2), or by /proc/self/comm)."""

    pid: int
    name: str
    stamp_ns: int


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


def parse(datagram: bytes) -> Exit | Comm | None:
    """What the datagram tells, where it is one of these."""
    what, _cpu, stamp = _EVENT.unpack_from(datagram, _BODY)
    at = _BODY + _EVENT.size
    if what == PROC_EVENT_EXIT:
        pid, tgid, status, *_ = _EXIT.unpack_from(datagram, at)
        return Exit(pid, status, stamp) if pid == tgid else None
    if what == PROC_EVENT_COMM:
        pid, _tgid, name = _COMM.unpack_from(datagram, at)
        return Comm(pid, name.partition(b"\0")[0].decode(errors="replace"), stamp)
    return None
