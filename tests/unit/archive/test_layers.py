"""A writable layer out and in again: the container sees the same files, on real overlays."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wharfside_agent.archive.overlays import OverlayLayers
from wharfside_protocol.errors import Busy, Denied, Invalid


@dataclass
class Overlay:
    """`seen` is what the container sees."""

    lower: Path
    upper: Path
    seen: Path

    def mount(self) -> None:
        work = self.upper.with_name(f"{self.upper.name}-work")
        for folder in (self.upper, work, self.seen):
            folder.mkdir(exist_ok=True)
        options = f"lowerdir={self.lower},upperdir={self.upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", self.seen], check=True)

    def unmount(self) -> None:
        if self.seen.is_mount():
            subprocess.run(["umount", self.seen], check=True)


@pytest.fixture
async def layers() -> AsyncIterator[OverlayLayers]:
    made = OverlayLayers(kept_free=0)
    yield made
    made.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs: the machine's own root may be an overlay, which carries no other."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


@pytest.fixture
def overlays(disk: Path) -> Iterator[tuple[Overlay, Overlay]]:
    """Of one lower layer: where the container was, and where it goes."""
    lower = disk / "lower"
    for folder in ("etc/deep/er", "var/log", "same", "opt/tool"):
        (lower / folder).mkdir(parents=True)
    for file in ("etc/passwd", "etc/deep/er/file", "var/log/a", "var/log/b", "opt/tool/x", "gone"):
        (lower / file).write_text(f"lower {file}\n")
    first = Overlay(lower, disk / "first", disk / "first-seen")
    second = Overlay(lower, disk / "second", disk / "second-seen")
    first.mount()
    second.upper.mkdir()
    yield first, second
    first.unmount()
    second.unmount()


def tree(top: Path) -> dict[str, tuple[object, ...]]:
    found = {}
    for path in sorted([top, *top.rglob("*")]):
        facts = path.lstat()
        if path.is_symlink():
            data: object = str(path.readlink())
        else:
            data = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b""
        found[str(path.relative_to(top))] = (facts.st_mode, facts.st_uid, facts.st_gid, data)
    return found


async def carry(layers: OverlayLayers, first: Overlay, second: Overlay, folder: Path) -> str:
    folder.mkdir()
    notes = await layers.save(first.upper, first.lower, folder)
    await layers.load(folder, second.upper)
    second.mount()
    return notes


async def test_the_container_sees_the_same(
    layers: OverlayLayers, overlays: tuple[Overlay, Overlay], disk: Path
) -> None:
    first, second = overlays
    seen = first.seen
    seen.chmod(0o751)
    (seen / "gone").unlink()
    (seen / "etc/passwd").write_text("changed\n")
    (seen / "new").mkdir()
    (seen / "new/file").write_bytes(os.urandom(100_000))
    os.link(seen / "new/file", seen / "new/linked")
    (seen / "new/link").symlink_to("../etc/passwd")
    os.chown(seen / "new/file", 1000, 1001)
    (seen / "new/file").chmod(0o4755)
    os.mkfifo(seen / "new/fifo")
    with (seen / "new/sparse").open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 20)
        file.write(b"in the middle")
    os.setxattr(
        seen / "new/sparse", "security.capability", bytes.fromhex("0100000200040000" + "00" * 12)
    )
    notes = await carry(layers, first, second, disk / "image")
    os.truncate(seen / "new/sparse", 2 << 20)
    os.truncate(second.seen / "new/sparse", 2 << 20)
    assert tree(second.seen) == tree(seen)
    assert notes == ""
    assert json.loads((disk / "image/deleted.files").read_bytes()) == ["/gone"]
    assert (second.seen / "new/linked").stat().st_ino == (second.seen / "new/file").stat().st_ino


async def test_capabilities_and_holes_are_kept(
    layers: OverlayLayers, overlays: tuple[Overlay, Overlay], disk: Path
) -> None:
    first, second = overlays
    capability = bytes.fromhex("0100000200040000" + "00" * 12)
    with (first.seen / "tool").open("wb") as file:
        file.truncate(1 << 30)
        file.write(b"at the beginning")
    os.setxattr(first.seen / "tool", "security.capability", capability)
    await carry(layers, first, second, disk / "image")
    assert os.getxattr(second.seen / "tool", "security.capability") == capability
    assert (second.seen / "tool").stat().st_size == 1 << 30
    assert (second.seen / "tool").stat().st_blocks < 4096


async def test_folders_made_anew_hide_what_was_below(
    layers: OverlayLayers, overlays: tuple[Overlay, Overlay], disk: Path
) -> None:
    """rm -r and mkdir give an opaque folder; what it hides is told name by name."""
    first, second = overlays
    subprocess.run(["rm", "-r", first.seen / "etc", first.seen / "var"], check=True)
    (first.seen / "etc/deep").mkdir(parents=True)
    (first.seen / "etc/passwd").symlink_to("elsewhere")
    (first.seen / "var").write_text("a file now\n")
    await carry(layers, first, second, disk / "image")
    assert tree(second.seen) == tree(first.seen)
    assert "/etc/deep/er" in json.loads((disk / "image/deleted.files").read_bytes())


async def test_devices_and_sockets_are_left_out_and_told(
    layers: OverlayLayers, overlays: tuple[Overlay, Overlay], disk: Path
) -> None:
    first, second = overlays
    os.mknod(first.seen / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(first.seen / "socket", stat.S_IFSOCK | 0o666)
    notes = await carry(layers, first, second, disk / "image")
    assert not (second.seen / "null").exists()
    assert {line.split(":")[0] for line in notes.splitlines()} == {"null", "socket"}


@pytest.mark.parametrize(
    "paths", ['["/../outside"]', '["/a/none"]', '["/there"]', '["/"]', '{"a":1}', "[1]", '["']
)
async def test_a_hostile_list_is_refused(layers: OverlayLayers, disk: Path, paths: str) -> None:
    image, upper = disk / "image", disk / "upper"
    image.mkdir()
    upper.mkdir()
    (image / "rootfs-diff.tar").write_bytes(tar(plain("there")))
    (image / "deleted.files").write_text(paths)
    with pytest.raises((Invalid, Denied)):
        await layers.load(image, upper)


@pytest.mark.parametrize(
    "members",
    [
        lambda: tar(plain("../outside")),
        lambda: tar(linked("out", "/"), plain("out/outside")),
        lambda: tar(linked("out", ".."), plain("out/outside")),
        lambda: tar(device("null")),
        lambda: tar(plain("whole"))[:700],
        lambda: b"no tar" * 200,
    ],
)
async def test_a_hostile_tar_leads_nowhere(layers: OverlayLayers, disk: Path, members) -> None:  # type: ignore[no-untyped-def]
    image, upper = disk / "image", disk / "upper"
    image.mkdir()
    upper.mkdir()
    (image / "rootfs-diff.tar").write_bytes(members())
    with pytest.raises((Invalid, Denied)):
        await layers.load(image, upper)
    assert not (disk / "outside").exists()
    assert not Path("/outside").exists()


async def test_a_full_disk_is_left_alone(disk: Path) -> None:
    layers = OverlayLayers(kept_free=1 << 60)
    (disk / "image").mkdir()
    (disk / "upper").mkdir()
    (disk / "image/rootfs-diff.tar").write_bytes(tar(plain("file")))
    with pytest.raises(Busy):
        await layers.load(disk / "image", disk / "upper")
    layers.close()


async def test_what_cannot_be_saved_leaves_nothing(layers: OverlayLayers, disk: Path) -> None:
    for name in ("image", "upper", "lower"):
        (disk / name).mkdir()
    os.mknod(disk / "upper" / os.fsdecode(b"\xff"), stat.S_IFCHR, os.makedev(0, 0))
    with pytest.raises(Exception, match="UTF-8"):
        await layers.save(disk / "upper", disk / "lower", disk / "image")
    assert list((disk / "image").iterdir()) == []


async def test_a_copy_has_the_same_identity(layers: OverlayLayers, disk: Path) -> None:
    (disk / "a/etc").mkdir(parents=True)
    (disk / "a/etc/passwd").write_text("root\n")
    (disk / "a/link").symlink_to("etc")
    subprocess.run(["cp", "-r", disk / "a", disk / "b"], check=True)
    first = await layers.identity(disk / "a")
    assert first is not None
    assert await layers.identity(disk / "b") == first
    (disk / "b/etc/passwd").write_text("longer\n")
    assert await layers.identity(disk / "b") != first


def tar(*members: tarfile.TarInfo) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as file:
        for member in members:
            file.addfile(member, io.BytesIO(b"x" * member.size))
    return data.getvalue()


def plain(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = 3
    return info


def linked(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def device(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3
    return info
