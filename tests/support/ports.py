"""Ports that are given to nobody else while the server that is to listen there is not up.

Four steps of run-tests start servers beside each other: a port that was free a second ago may be
another's. One that is bound is given to nobody who asks for any; a server that names it gets it
all the same, as long as only one of the two listens (SO_REUSEADDR, socket(7); Go sets it, too).
"""

from __future__ import annotations

import socket


def held_port(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Held until it is closed; 0: any that is free."""
    held = socket.socket()
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((address, port))
    except BaseException:
        held.close()
        raise
    return held


def number_of(held: socket.socket) -> int:
    return int(held.getsockname()[1])
