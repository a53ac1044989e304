"""Writes down what truly happened: the ends of processes, from the kernel alone.

    python -m tests.chaos.runner.observer FILE TOKEN

Each process of the run gives itself a name that begins with TOKEN as its first act, and the
kernel tells that name with the pid: no race with a process that is over at once, and no word of
agent, monitor or runtime. Lines, with times in nanoseconds of the wall clock:

    begin MARK PID NS
    exit MARK PID CODE SIGNAL NS      MARK is `-` for a process without a name of ours
    lost ERRNO NS                     the kernel's buffer ran over: the run proves nothing

Ends when stdin is closed.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from socket import socket
from typing import TextIO

from tests.support.proc_connector import Comm, ConnectorMissing, Exit, connect, parse


class Observer:
    def __init__(self, out: TextIO, token: str) -> None:
        self._out = out
        self._token = token
        self._marks: dict[int, str] = {}

    def drain(self, netlink: socket) -> None:
        """All that has arrived."""
        wall = time.time_ns() - time.monotonic_ns()
        while True:
            try:
                told = parse(netlink.recv(4096))
            except BlockingIOError:
                return
            except OSError as error:
                self._out.write(f"lost {error.errno} {time.time_ns()}\n")
                continue
            if isinstance(told, Exit):
                mark = self._marks.pop(told.pid, "-")
                at = told.stamp_ns + wall
                self._out.write(f"exit {mark} {told.pid} {told.code} {told.signal} {at}\n")
            elif isinstance(told, Comm) and told.name.startswith(self._token):
                self._marks[told.pid] = told.name
                self._out.write(f"begin {told.name} {told.pid} {told.stamp_ns + wall}\n")


def main(file: str, token: str) -> int:
    try:
        netlink = connect()
    except ConnectorMissing as error:
        print(f"observer: no proc connector here: {error}", file=sys.stderr)
        return 1
    with Path(file).open("w") as out:
        observer = Observer(out, token)
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([netlink, 0], [], [])
            if netlink in readable:
                observer.drain(netlink)
            if 0 in readable and not os.read(0, 4096):
                observer.drain(netlink)
                return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
