"""What the server sends in whatever blocks: each message comes as nats-py's own parser has it."""

from __future__ import annotations

import random

import pytest
from nats.protocol.parser import Parser

from wharfside_client.parser import LARGE_BYTES, BlockParser

Came = tuple[int, bytes, bytes, bytes, bytes | None]
SIZES = (0, 1, 100, LARGE_BYTES - 1, LARGE_BYTES, 2 * LARGE_BYTES + 1, 150_000)


class Ears:
    """As far as a parser tells a client anything."""

    def __init__(self) -> None:
        self.came: list[Came] = []
        self.pings = 0

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        assert type(data) is bytes
        self.came.append((sid, subject, reply, data, headers))

    async def _process_ping(self) -> None:
        self.pings += 1


def wire(seed: int) -> bytes:
    rng, parts = random.Random(seed), list[bytes]()
    for sid in range(60):
        payload = rng.randbytes(rng.choice(SIZES))
        head = b"NATS/1.0\r\nA: b\r\n\r\n"
        if sid % 3:
            parts.append(b"MSG a.%d %d %d\r\n%s\r\n" % (sid, sid, len(payload), payload))
        else:
            sizes = b"%d %d" % (len(head), len(head) + len(payload))
            parts.append(b"HMSG a.b %d an.inbox %s\r\n%s%s\r\n" % (sid, sizes, head, payload))
        parts.append(rng.choice([b"PING\r\n", b"+OK\r\n", b""]))
    return b"".join(parts)


def blocks(whole: bytes, rng: random.Random) -> list[bytes]:
    found, at = [], 0
    while at < len(whole):
        size = rng.choice((1, 2, 3, 500, LARGE_BYTES, LARGE_BYTES + 1, 262_144))
        found.append(whole[at : at + size])
        at += size
    return found


async def heard(parser: Parser, ears: Ears, sent: list[bytes]) -> Ears:
    for block in sent:
        await parser.parse(block)
    return ears


@pytest.mark.parametrize("seed", range(20))
async def test_messages_come_as_from_the_librarys_own(seed: int) -> None:
    whole = wire(seed)
    theirs, ours = Ears(), Ears()
    await heard(Parser(theirs), theirs, [whole])
    await heard(BlockParser(ours), ours, blocks(whole, random.Random(seed)))
    assert len(theirs.came) == 60
    assert (ours.came, ours.pings) == (theirs.came, theirs.pings)


@pytest.mark.parametrize("cut", range(1, 6))
async def test_an_end_that_is_cut_in_two_is_no_part_of_the_message(cut: int) -> None:
    """Its CR may be the last byte of one block, and its LF the first of the next."""
    payload = bytes(3 * LARGE_BYTES)
    whole = b"MSG a 1 %d\r\n%s\r\nPING\r\n" % (len(payload), payload)
    border = len(whole) - len(b"\r\nPING\r\n") + cut - 2
    ears = Ears()
    await heard(BlockParser(ears), ears, [whole[:border], whole[border:]])
    assert ears.came == [(1, b"a", b"", payload, None)] and ears.pings == 1


async def test_after_a_break_nothing_of_before_is_left() -> None:
    ears = Ears()
    parser = BlockParser(ears)
    await parser.parse(b"MSG a 1 100000\r\n" + bytes(50_000))
    parser.reset()
    await parser.parse(b"MSG a 2 2\r\nhi\r\n")
    assert ears.came == [(2, b"a", b"", b"hi", None)]
