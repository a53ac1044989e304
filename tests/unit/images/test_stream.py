"""An image as a stream: whole on the other side, however it was cut and interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.images.kit import FILES, INCARNATION, fill, make, manifest

from wharfside_agent.images.disk import DiskImages
from wharfside_agent.ports.images import Image, Incoming, Outgoing
from wharfside_protocol.errors import AlreadyExists, Busy, Invalid, NotFound

KEY = "migration-1"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[DiskImages]:
    made = DiskImages(tmp_path / "there", kept_free=0)
    yield made
    made.close()


async def begin(images: DiskImages, sent: Outgoing, key: str = KEY) -> Incoming:
    return await images.incoming(key, sent.digest, sent.manifest_bytes, sent.total)


async def carry(sent: Outgoing, came: Incoming, piece: int = 100_000, until: int = 1 << 62) -> None:
    while came.received < min(sent.total, until):
        await came.write(came.received, await sent.read(came.received, piece))


@settings(max_examples=20, deadline=None)
@given(piece=st.integers(1, 400_000), cut=st.integers(0, 300_000))
async def test_it_is_the_same_image_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, piece: int, cut: int
) -> None:
    """Broken off at any byte, and taken up by another life of the agent."""
    folder = tmp_path_factory.mktemp("cut")
    here, there = (
        DiskImages(folder / "here", kept_free=0),
        DiskImages(folder / "there", kept_free=0),
    )
    piece = max(piece, 997)
    made = await make(here)
    sent = await here.outgoing(INCARNATION, "one")
    came = await begin(there, sent)
    await carry(sent, came, piece, cut)
    reached = came.received
    came.close()
    there.close()
    there = DiskImages(folder / "there", kept_free=0)
    assert await there.clear_drafts(keep=[KEY]) == 0
    came = await begin(there, sent)
    assert came.received == reached
    await carry(sent, came, piece)
    image = await came.finish()
    assert image.digest == made.digest
    assert (await there.open(INCARNATION, "one")).manifest == made.manifest
    here.close()
    there.close()


async def test_links_and_empty_files_come_too(images: DiskImages, there: DiskImages) -> None:
    draft = await images.draft(INCARNATION, "one")
    fill(draft.folder, FILES | {"a": b"", "zz": b"", "pre-checkpoint/pages-1.img": b"before"})
    (draft.folder / "checkpoint" / "parent").symlink_to("../pre-checkpoint")
    made = await draft.finish(manifest())
    sent = await images.outgoing(INCARNATION, "one")
    came = await begin(there, sent)
    await carry(sent, came)
    assert (await came.finish()).digest == made.digest
    await there.open(INCARNATION, "one")


async def test_a_changed_byte_is_refused_with_its_file(
    images: DiskImages, there: DiskImages
) -> None:
    await make(images)
    sent = await images.outgoing(INCARNATION, "one")
    came = await begin(there, sent)
    data = bytearray(await sent.read(0, sent.total))
    data[-1] ^= 1
    with pytest.raises(Invalid, match=r"spec\.dump"):
        await came.write(0, bytes(data))
    await came.discard()
    assert await there.listed() == []
    assert await there.clear_drafts() == 0


async def test_what_was_spoilt_while_the_agent_was_down_begins_anew(
    images: DiskImages, there: DiskImages, tmp_path: Path
) -> None:
    await make(images)
    sent = await images.outgoing(INCARNATION, "one")
    came = await begin(there, sent)
    await carry(sent, came, until=sent.total - 10)
    came.close()
    [pages] = (tmp_path / "there").rglob("pages-1.img")
    pages.write_bytes(bytes(pages.stat().st_size))
    came = await begin(there, sent)
    assert came.received == 0
    await carry(sent, came)
    await came.finish()


async def test_another_image_than_was_offered(images: DiskImages, there: DiskImages) -> None:
    await make(images)
    sent = await images.outgoing(INCARNATION, "one")
    came = await there.incoming(KEY, "0" * 64, sent.manifest_bytes, sent.total)
    with pytest.raises(Invalid, match="offered"):
        await carry(sent, came)
    await came.discard()
    came = await there.incoming(KEY, sent.digest, sent.manifest_bytes, sent.total + 1)
    with pytest.raises(Invalid, match="bytes"):
        await carry(sent, came)
    await came.discard()
    with pytest.raises(Invalid):
        await there.incoming(KEY, sent.digest, 1 << 40, sent.total)


async def test_pieces_out_of_order_are_refused(images: DiskImages, there: DiskImages) -> None:
    await make(images)
    sent = await images.outgoing(INCARNATION, "one")
    came = await begin(there, sent)
    with pytest.raises(Invalid):
        await came.write(10, b"x")
    with pytest.raises(Invalid, match="cut off"):
        await came.finish()
    await carry(sent, came)
    with pytest.raises(Invalid, match="more came"):
        await came.write(came.received, b"x")
    came.close()


async def test_no_room_is_told_before_a_byte_is_written(images: DiskImages, tmp_path: Path) -> None:
    await make(images)
    sent = await images.outgoing(INCARNATION, "one")
    small = DiskImages(tmp_path / "small", max_bytes=1000, kept_free=0)
    with pytest.raises(Busy):
        await begin(small, sent)
    small.close()


async def test_a_disk_without_room_for_it_is_told_before_a_byte_is_written(tmp_path: Path) -> None:
    """As free as it may be now: what counts is what it will be."""
    disk = DiskImages(tmp_path / "disk", max_bytes=1 << 62, kept_free=0)
    with pytest.raises(Busy, match="full"):
        await disk.incoming("migration-1", "0" * 64, 1000, 1 << 60)
    assert not list((tmp_path / "disk").rglob("*"))
    disk.close()


async def test_what_is_not_there_is_not_sent(images: DiskImages) -> None:
    with pytest.raises(NotFound):
        await images.outgoing(INCARNATION, "one")


async def test_a_name_that_is_taken(images: DiskImages) -> None:
    await make(images)
    sent = await images.outgoing(INCARNATION, "one")
    came = await begin(images, sent)
    await carry(sent, came)
    with pytest.raises(AlreadyExists):
        await came.finish()
    await came.discard()
    assert [each.manifest.name for each in await images.listed() if isinstance(each, Image)]
