"""Ports that are known before anybody listens there: this process's own, for as long as it lives.

A port that the kernel gave and got back goes to the next who asks: to a server of the tests beside
these, while ours starts, or is down for a moment. These come from blocks below all that the kernel
gives by itself. The first port of a block is bound, and never listened to: whoever cannot bind it
takes another block, and with its process the kernel frees it.
"""

from __future__ import annotations

import itertools
import socket

BLOCKS = range(10_000, 32_000, 500)
"""Linux gives 32768 and above (ip-sysctl.rst, ip_local_port_range)."""


def _take_a_block() -> range:
    for first in BLOCKS:
        with socket.socket() as mark:
            try:
                mark.bind(("127.0.0.1", first))
            except OSError:
                continue
            mark.detach()
            return range(first + 1, first + BLOCKS.step)
    raise RuntimeError(f"all of {BLOCKS} are taken")


# When this is imported: a test's leak gate would take the mark for the test's own.
_block = _take_a_block()
_turn = itertools.cycle(_block)


def free_port() -> int:
    """In turn, so that one whose server is down for now is not given to another."""
    for port in itertools.islice(_turn, len(_block)):
        if _is_free(port):
            return port
    raise RuntimeError(f"something listens on all of {_block}")


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


def _is_free(port: int) -> bool:
    """Nobody listens there; what is left of connections that ended is in nobody's way."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
