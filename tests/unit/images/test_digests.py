"""One digest of a file, whether several threads read it or it comes piece by piece."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from wharfside_agent.blocking import Work
from wharfside_agent.core.image_digest import PART_BYTES, FileDigest
from wharfside_agent.images.files import CHUNK, digest
from wharfside_protocol.errors import Canceled

WHOLE = [0, PART_BYTES, 2 * PART_BYTES]
SIZES = [*WHOLE, 1, PART_BYTES - 1, PART_BYTES + 1, 2 * PART_BYTES + CHUNK + 7]


@pytest.fixture(params=SIZES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """No part of it is as another one, nor any place in a part as the same place of another."""
    path = tmp_path / "pages-1.img"
    path.write_bytes(os.urandom(request.param))
    return path


@pytest.mark.parametrize("piece", [CHUNK - 1, PART_BYTES + 3, 3 * PART_BYTES])
def test_the_same_at_once_and_in_pieces(file: Path, piece: int) -> None:
    data, work = file.read_bytes(), Work()
    coming = FileDigest()
    for at in range(0, len(data), piece):
        coming.update(data[at : at + piece])
    told = digest(file, work)
    assert (told.bytes, told.sha256) == (len(data), coming.hexdigest())
    assert work.done == len(data)


def test_it_is_of_the_parts_digests(file: Path) -> None:
    data = file.read_bytes()
    parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
    each = b"".join(hashlib.sha256(part).digest() for part in parts)
    expected = hashlib.sha256(each if len(parts) > 1 else data).hexdigest()
    assert digest(file, Work()).sha256 == expected


@pytest.mark.parametrize("at", [0, PART_BYTES, 2 * PART_BYTES])
def test_a_flipped_bit_in_any_part_is_seen(tmp_path: Path, at: int) -> None:
    path = tmp_path / "pages-1.img"
    data = bytearray(2 * PART_BYTES + 1)
    path.write_bytes(data)
    before = digest(path, Work())
    data[at] ^= 1
    path.write_bytes(data)
    assert digest(path, Work()) != before


def test_it_can_be_called_off(tmp_path: Path) -> None:
    path = tmp_path / "pages-1.img"
    path.write_bytes(bytes(3 * PART_BYTES))
    work = Work()
    work.canceled.set()
    with pytest.raises(Canceled):
        digest(path, work)
    assert work.done <= 3 * CHUNK, "no part goes on to its end"
