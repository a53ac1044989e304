"""A played node in a process of its own, to be killed or stopped: `python -m ... URL`.

It carries a known text, from any place on (`exec` named `from-N`), and says `ready`.
"""

from __future__ import annotations

import asyncio
import random
import sys

from tests.integration.session_kit import Carry, Given, piece, played_node

from wharfside_agent.ports.io import Carried

SIZE = 32 * 1024 * 1024
BLOCK = random.Random(11).randbytes(1024 * 1024)


class Known:
    """A source of BLOCK again and again, up to SIZE bytes."""

    def __init__(self, at: int) -> None:
        self._at = at

    async def read(self, most: int) -> Given:
        await asyncio.sleep(0)
        if self._at >= SIZE:
            return None
        start = self._at % len(BLOCK)
        data = BLOCK[start : start + min(most, SIZE - self._at)]
        self._at += len(data)
        return piece(data, behind=self._at)

    def close(self) -> None:
        pass


def from_anywhere(name: str) -> Carry:
    return lambda: Carried(Known(int(name.removeprefix("from-"))))


async def main(url: str) -> None:
    async with played_node(url) as node:
        node.otherwise = from_anywhere
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
