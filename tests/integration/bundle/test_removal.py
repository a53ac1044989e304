"""What `remove` takes away and what it must never touch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.integration.bundle.ground import libc, mounts_below
from tests.support.requirements import requires

from wharfside_agent.runtime.mounts import unmount
from wharfside_agent.runtime.removal import SMALL_BYTES, SMALL_ENTRIES, is_small, remove_folder
from wharfside_protocol.errors import RuntimeFailed

pytestmark = requires("root", "busybox-static")

MS_BIND = 4096


def test_remove_takes_all_and_may_be_repeated(ground):
    ground.shell("echo x > /etc/x")
    place = ground.place()
    for folder in (place.monitor_dir("init"), place.logs):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    os.mkfifo(place.bundle / "ctl")
    for _ in range(2):
        ground.bundles.remove(place, False)
        assert not place.bundle.exists() and not place.layer.exists()
        assert not place.logs.exists()
    assert mounts_below(ground.folder) == []


def test_remove_keeps_layer_and_logs_for_the_next_run(ground):
    ground.shell("echo x > /etc/x")
    place = ground.place()
    place.logs.mkdir(parents=True)
    ground.bundles.remove(place, True)
    assert (place.layer / "upper/etc/x").exists() and place.logs.exists()
    assert not place.bundle.exists()
    ground.bundles.remove(place, False)
    assert not place.logs.exists()


def test_remove_follows_no_link(ground):
    outside = ground.folder / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    ground.prepare(ground.true())
    for folder in (ground.place().bundle, ground.place().layer / "upper"):
        (folder / "way").symlink_to(outside)
    ground.bundles.remove(ground.place(), False)
    assert (outside / "precious").exists()
    (ground.places.layers).mkdir(exist_ok=True)
    ground.place().layer.symlink_to(outside)
    with pytest.raises(RuntimeFailed):
        ground.bundles.remove(ground.place(), False)
    assert (outside / "precious").exists()
    ground.place().layer.unlink()


def test_remove_enters_no_mount(ground):
    outside = ground.folder / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    ground.prepare(ground.true())
    deep = ground.place().bundle / "monitors/init/in/there"
    deep.mkdir(parents=True)
    assert libc.mount(os.fsencode(outside), os.fsencode(deep), None, MS_BIND, None) == 0
    with pytest.raises(RuntimeFailed, match="mount point"):
        ground.bundles.remove(ground.place(), False)
    assert (outside / "precious").exists()
    (left,) = (Path(line.split()[4]) for line in mounts_below(ground.folder))
    assert unmount(left)
    ground.bundles.remove(ground.place(), False)
    assert (outside / "precious").exists() and not ground.place().bundle.exists()


def test_remove_says_when_it_has_little_to_do(ground):
    """An overlay may have to be written out, a layer may have any size: neither is little."""
    ground.prepare(ground.true())
    place = ground.place()
    assert not ground.bundles.removes_little(place, True)
    ground.bundles.remove(place, True)
    assert ground.bundles.removes_little(place, True)
    assert not ground.bundles.removes_little(place, False)
    ground.bundles.remove(place, False)
    assert ground.bundles.removes_little(place, False)
    place.logs.mkdir(parents=True)
    (place.logs / "1-init.log").write_bytes(bytes(SMALL_BYTES + 1))
    assert not ground.bundles.removes_little(place, False)
    assert ground.bundles.removes_little(place, True)


def test_a_folder_is_small_by_what_lies_in_it(tmp_path):
    assert is_small(tmp_path / "gone") and is_small(tmp_path)
    for number in range(SMALL_ENTRIES + 1):
        assert is_small(tmp_path)
        (tmp_path / str(number)).touch()
    assert not is_small(tmp_path)
    assert not is_small(tmp_path / "0")  # no folder: who removes it is told so


def test_remove_is_not_stopped_by_deep_folders(tmp_path):
    """Deeper than Python recurses, than paths are long and than files may be open."""
    top, before = tmp_path / "top", os.getcwd()  # noqa: PTH109
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    remove_folder(top)
    assert not top.exists() and os.getcwd() == before  # noqa: PTH109
