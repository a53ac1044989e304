"""An image is whole under its name, or not there; what is not whole is refused."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.unit.images.kit import FILES, INCARNATION, fill, make, manifest

from wharfside_agent.images.disk import DiskImages
from wharfside_agent.ports.images import BrokenImage, Image
from wharfside_protocol.errors import AlreadyExists, Busy, Invalid, NotFound


async def test_a_whole_image_is_opened(images: DiskImages) -> None:
    made = await make(images)
    opened = await images.open(INCARNATION, "one")
    assert opened == made
    assert set(opened.manifest.files) == set(FILES)
    assert opened.bytes == sum(map(len, FILES.values()))
    checked = subprocess.run(["sha256sum", "-c", "manifest.sha256"], cwd=opened.folder, check=True)
    assert checked.returncode == 0


async def test_drafts_are_no_images(images: DiskImages, tmp_path: Path) -> None:
    draft = await images.draft(INCARNATION, "one")
    fill(draft.folder)
    assert await images.listed() == []
    with pytest.raises(NotFound):
        await images.open(INCARNATION, "one")
    later = DiskImages(tmp_path / "checkpoints")
    assert await later.clear_drafts() == 1
    assert not draft.folder.exists()
    later.close()


async def test_discard_leaves_nothing(images: DiskImages, tmp_path: Path) -> None:
    draft = await images.draft(INCARNATION, "one")
    fill(draft.folder)
    await draft.discard()
    assert not draft.folder.exists()
    made = await make(images)
    await draft.discard()
    assert (await images.open(INCARNATION, "one")).digest == made.digest


async def test_a_name_is_taken_once(images: DiskImages) -> None:
    first, second = await images.draft(INCARNATION, "one"), await images.draft(INCARNATION, "one")
    fill(first.folder)
    fill(second.folder)
    await first.finish(manifest())
    with pytest.raises(AlreadyExists):
        await second.finish(manifest())
    assert not second.folder.exists()
    with pytest.raises(AlreadyExists):
        await images.draft(INCARNATION, "one")


@pytest.mark.parametrize("path", [*FILES, "manifest.json", "manifest.sha256"])
@pytest.mark.parametrize("bit", [0, -1])
async def test_a_bit_flipped_anywhere_is_refused(images: DiskImages, path: str, bit: int) -> None:
    file = (await make(images)).folder / path
    data = bytearray(file.read_bytes())
    data[bit] ^= 0x01
    file.write_bytes(data)
    with pytest.raises(Invalid):
        await images.open(INCARNATION, "one")


@pytest.mark.parametrize("path", [*FILES, "manifest.json", "manifest.sha256"])
async def test_a_file_missing_or_cut_off_is_refused(images: DiskImages, path: str) -> None:
    file = (await make(images)).folder / path
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(Invalid):
        await images.open(INCARNATION, "one")
    file.unlink()
    with pytest.raises(Invalid, match="missing"):
        await images.open(INCARNATION, "one")
    [listed] = await images.listed()
    assert isinstance(listed, BrokenImage)
    assert await images.delete(INCARNATION, "one")


async def test_a_file_too_many_is_refused(images: DiskImages) -> None:
    (await make(images)).folder.joinpath("checkpoint", "core-9.img").write_bytes(b"")
    with pytest.raises(Invalid, match="not in its manifest"):
        await images.open(INCARNATION, "one")


@pytest.mark.parametrize("written", [1, 3])
async def test_another_versions_image_is_told_by_its_format(
    images: DiskImages, written: int
) -> None:
    folder = (await make(images)).folder
    data = (folder / "manifest.json").read_bytes()
    data = data.replace(b'"format": 2', b'"format": %d' % written).replace(b'"lower"', b'"below"')
    (folder / "manifest.json").write_bytes(data)
    summed = subprocess.run(["sha256sum", "manifest.json"], cwd=folder, capture_output=True)
    (folder / "manifest.sha256").write_bytes(summed.stdout)
    told = f"format {written}, this agent reads format 2: restore .* or make the checkpoint anew"
    with pytest.raises(Invalid, match=told):
        await images.open(INCARNATION, "one")
    [listed] = await images.listed()
    assert isinstance(listed, BrokenImage)
    assert re.search(told, listed.why)
    assert listed.other_format == written


async def test_a_broken_image_is_not_another_versions(images: DiskImages) -> None:
    """What says another format, and is not what was written, may be anything."""
    folder = (await make(images)).folder
    data = (folder / "manifest.json").read_bytes().replace(b'"format": 2', b'"format": 3')
    (folder / "manifest.json").write_bytes(data)
    [listed] = await images.listed()
    assert isinstance(listed, BrokenImage)
    assert listed.other_format is None
    assert "digest differs" in listed.why


async def test_another_ones_image_is_refused(images: DiskImages) -> None:
    folder = (await make(images)).folder
    folder.rename(folder.with_name("two"))
    with pytest.raises(Invalid, match="another's"):
        await images.open(INCARNATION, "two")


@pytest.mark.parametrize(
    "foreign",
    [
        lambda folder: (folder / "checkpoint" / "parent").symlink_to("../../../two"),
        lambda folder: (folder / "checkpoint" / "pages-2.img").symlink_to("/etc/shadow"),
        lambda folder: os.mkfifo(folder / "checkpoint" / "fifo"),
        lambda folder: (folder / "a b").write_bytes(b""),
        lambda folder: (folder / "a" / "b" / "c" / "d").mkdir(parents=True),
        lambda folder: (folder / "checkpoint" / "inventory.img").unlink(),
    ],
)
async def test_what_is_no_image_never_becomes_one(images: DiskImages, foreign) -> None:  # type: ignore[no-untyped-def]
    draft = await images.draft(INCARNATION, "one")
    fill(draft.folder)
    foreign(draft.folder)
    with pytest.raises(Invalid):
        await draft.finish(manifest())
    assert not draft.folder.exists()
    assert await images.listed() == []


async def test_a_predump_is_a_part_of_its_image(images: DiskImages) -> None:
    draft = await images.draft(INCARNATION, "one")
    fill(draft.folder, FILES | {"pre-checkpoint/pages-1.img": b"before"})
    (draft.folder / "checkpoint" / "parent").symlink_to("../pre-checkpoint")
    made = await draft.finish(manifest())
    assert made.manifest.links == {"checkpoint/parent": "../pre-checkpoint"}
    assert await images.open(INCARNATION, "one") == made
    (made.folder / "checkpoint" / "parent").unlink()
    with pytest.raises(Invalid, match="links"):
        await images.open(INCARNATION, "one")


async def test_the_quota_is_kept(tmp_path: Path) -> None:
    size = sum(map(len, FILES.values()))
    images = DiskImages(tmp_path / "checkpoints", max_bytes=2 * size, kept_free=0)
    await make(images, "one")
    with pytest.raises(Busy, match="quota"):
        await make(images, "two")
    with pytest.raises(Busy, match="quota"):
        await images.draft(INCARNATION, "two", expected_bytes=2 * size)
    assert [each.manifest.name for each in await images.listed() if isinstance(each, Image)] == [
        "one"
    ]
    images.close()


async def test_a_full_disk_is_left_alone(tmp_path: Path) -> None:
    images = DiskImages(tmp_path / "checkpoints", kept_free=1 << 60)
    with pytest.raises(Busy, match="full"):
        await images.draft(INCARNATION, "one")
    images.close()


async def test_the_last_one_of_a_container_goes_while_the_next_is_begun(tmp_path: Path) -> None:
    """Its folder goes with it, and is there for the next one all the same."""

    class Meanwhile(DiskImages):
        def check_room(self, size: int, inside: Path | None = None) -> None:
            self._delete(INCARNATION, "one")
            super().check_room(size, inside)

    images = Meanwhile(tmp_path / "checkpoints", kept_free=0)
    fill(images._folder(INCARNATION, "one"))
    assert (await make(images, "two")).manifest.name == "two"
    assert [path.name for path in (tmp_path / "checkpoints").glob("*/*")] == ["two"]
    images.close()


async def test_a_canceled_finish_leaves_nothing(images: DiskImages) -> None:
    draft = await images.draft(INCARNATION, "one")
    fill(draft.folder, FILES | {"checkpoint/pages-2.img": bytes(64 * 1024 * 1024)})
    begun: list[int] = []
    finishing = asyncio.ensure_future(draft.finish(manifest(), lambda done, _: begun.append(done)))
    await asyncio.sleep(0)
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    assert not draft.folder.exists()
    assert await images.listed() == []


async def test_progress_reaches_the_end(images: DiskImages) -> None:
    draft = await images.draft(INCARNATION, "one")
    fill(draft.folder)
    seen: list[tuple[int, int]] = []
    made = await draft.finish(manifest(), lambda *each: seen.append(each))
    assert seen[-1] == (made.bytes, made.bytes)


async def test_images_are_listed_oldest_first(images: DiskImages) -> None:
    for name, second in (("b", 2), ("a", 1), ("c", 3)):
        await make(images, name, timestamp=f"2026-01-31T09:00:0{second}.000000000Z")
    found = await images.listed(INCARNATION)
    assert [each.manifest.name for each in found if isinstance(each, Image)] == ["a", "b", "c"]
    assert await images.listed("01JDZZZZZZZZZZZZZZZZZZZZZ0") == []


async def test_delete_is_idempotent(images: DiskImages) -> None:
    folder = (await make(images)).folder
    assert await images.delete(INCARNATION, "one")
    assert not await images.delete(INCARNATION, "one")
    assert not folder.parent.exists()
