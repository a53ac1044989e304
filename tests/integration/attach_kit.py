"""Sessions at the processes of a site, and what comes of them."""

from __future__ import annotations

from typing import Any

from tests.integration.bounds import bounded
from tests.integration.world import Site

from wharfside_client.session import Session
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.io_frames import Chunk, Exit
from wharfside_protocol.specs import Io

ONCE = Io(stdin=True)
KEPT = Io(stdin=True, stdin_once=False)
TTY = Io(stdin=True, tty=True)


def attached(site: Site, container: str, **args: Any) -> Session:
    return site.node.session("attach", {"container": container, **args})


def execed(site: Site, container: str, *args: str, **others: Any) -> Session:
    """An exec that begins with its session."""
    wanted = {"container": container, "process": {"args": list(args)}, **others}
    return site.node.session("exec", wanted)


async def seen(session: Session, part: bytes) -> bytes:
    """Output up to and with `part`."""
    found = b""

    async def look() -> None:
        nonlocal found
        while part not in found:
            item = await anext(session)
            assert isinstance(item, Chunk), item
            found += item.data

    await bounded(look(), f"{part!r} in the session")
    return found


async def rest(session: Session) -> tuple[bytes, ExitStatus]:
    """All that still comes, and the process's end."""
    found, exits = bytearray(), []

    async def look() -> None:
        async for item in session:
            if isinstance(item, Chunk):
                found.extend(item.data)
            else:
                assert isinstance(item, Exit), item
                exits.append(item.exit)

    await bounded(look(), "the end of the session")
    assert len(exits) == 1
    return bytes(found), exits[0]
