"""The client of conmon's attach socket: a process's input, and its output where there is no log.

SOCK_SEQPACKET at `attach` in conmon's bundle. Each packet from it is one read of the process's
output behind a byte that names the stream; each packet to it is input, as it is. The end of our
sending side is the end of the process's stdin, unless conmon has `--leave-stdin-open`
(conmon, conn_sock.c). A client must go on receiving then: conmon forgets to close stdin for one
whose output it could not write (terminate_remote_sock looks at what it has just freed).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from wharfside_protocol.errors import RuntimeFailed
from wharfside_protocol.io_frames import StreamName

PACKET_BYTES = 32 * 1024
"""conmon reads no more of a packet, and drops the rest (CONN_SOCK_BUF_SIZE)."""

RECEIVE_BYTES = 16 * 1024
"""conmon sends at most 8193 (STDIO_BUF_SIZE and the stream's byte)."""

PACKETS_AT_ONCE = 32
"""Then the loop has its turn: a quarter of a megabyte, under a millisecond."""

PACKETS_JOINED = 8
"""So many of one stream that came together are taken as one: 64 KiB."""

DRAIN_ROUNDS = 64
"""More than a socket holds: one that conmon still fills must not be taken for ever."""

STREAMS = {2: StreamName.STDOUT, 3: StreamName.STDERR}

_room = memoryview(bytearray(PACKETS_AT_ONCE * RECEIVE_BYTES))
"""Where all sockets receive: nothing is left in it when the loop goes on."""

Take = Callable[[StreamName, bytes], None]


class AttachSocket:
    """One connection. All calls on the loop.

    What comes is received at once, whoever wants it: a client that does not read withholds the
    process's log and its exit.
    """

    def __init__(self, folder: Path, take: Take | None, gone: Callable[[], None]) -> None:
        """Connects. `take` None: what comes is dropped, since the log has it.

        `gone` is called once conmon has left, after all that it sent was taken.

        Raises:
            RuntimeFailed: nobody listens in `folder`: the process or its conmon is over.
        """
        self._loop = asyncio.get_running_loop()
        self._socket = _connected(folder)
        self._take = take
        self._gone = gone
        self._turn = asyncio.Lock()
        self._waiting: asyncio.Future[None] | None = None
        self._loop.add_reader(self._socket, self._receive)

    async def send(self, data: bytes) -> None:
        """Returns once the kernel has it: as much as conmon, the process and 200 KB take.

        A call that is canceled has sent whole packets, or none. One call after the other.

        Raises:
            BrokenPipeError: conmon is gone, or this was closed.
        """
        async with self._turn:
            for start in range(0, len(data), PACKET_BYTES):
                packet = data[start : start + PACKET_BYTES]
                while not self._sent(packet):
                    await self._writable()

    def end_input(self) -> None:
        """No more is sent; what comes is taken still, to conmon's end.

        What was sent gets to the process first.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def drain(self) -> None:
        """Takes what is there: once conmon is over, the rest of its output."""
        for _ in range(DRAIN_ROUNDS):
            if self._socket.fileno() < 0 or not self._receive():
                return

    def close(self) -> None:
        """Idempotent; a `send` under way fails. What was sent gets to the process."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        if self._waiting is not None:
            self._loop.remove_writer(self._socket)
            _resolve(self._waiting)
        self._socket.close()

    def _sent(self, packet: bytes) -> bool:
        try:
            self._socket.send(packet)
        except BlockingIOError:
            return False
        except OSError as error:
            raise BrokenPipeError(str(error)) from error
        return True

    async def _writable(self) -> None:
        self._waiting = self._loop.create_future()
        self._loop.add_writer(self._socket, _resolve, self._waiting)
        try:
            await self._waiting
        finally:
            self._waiting = None
            if self._socket.fileno() >= 0:
                self._loop.remove_writer(self._socket)

    def _receive(self) -> bool:
        """Some packets; whether there may be more."""
        at, stream, found, count = 0, 0, list[memoryview](), None
        for _ in range(PACKETS_AT_ONCE):
            count = self._received(at)
            if not count:
                break
            if _room[at] != stream or len(found) == PACKETS_JOINED:
                self._taken(stream, found)
                stream, found = _room[at], []
            found.append(_room[at + 1 : at + count])
            at += count
        self._taken(stream, found)
        if count == 0:
            self.close()
            self._gone()
        return bool(count)

    def _received(self, at: int) -> int | None:
        """The size of the packet that lies at `at` now; None: there is none; 0: the end."""
        try:
            return self._socket.recv_into(_room[at:], RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return 0

    def _taken(self, stream: int, found: list[memoryview]) -> None:
        if self._take is not None and stream in STREAMS and (data := b"".join(found)):
            self._take(STREAMS[stream], data)


def _connected(folder: Path) -> socket.socket:
    """By way of the folder's descriptor: a socket's address has room for 107 bytes."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        parent = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        try:
            client.connect(f"/proc/self/fd/{parent}/attach")
        finally:
            os.close(parent)
    except OSError as error:
        client.close()
        raise RuntimeFailed(
            f"cannot attach at {folder}: {error.strerror}: the process or its conmon is over"
        ) from error
    return client


def _resolve(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
