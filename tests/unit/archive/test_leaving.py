"""What comes out of a container as a tar: everything that is there, and nothing of elsewhere."""

import os
import socket
import subprocess

import pytest
from tests.support.requirements import requires
from tests.support.tars import content, members
from tests.unit.archive.box import drain

from wharfside_agent.archive import packing, tree
from wharfside_protocol.errors import Busy, Canceled, Denied, Invalid, NotFound
from wharfside_protocol.io_frames import StreamName


async def test_a_file_is_an_archive_of_one_with_its_facts(box):
    path = box.root / "box-etc/passwd"
    path.chmod(0o4751)
    os.utime(path, (5, 1_700_000_000))
    data, said = await box.pull("/box-etc/passwd")
    [(name, info)] = members(data).items()
    assert (name, said, content(data, "passwd")) == ("passwd", "", b"inside\n")
    assert (info.mode, info.mtime) == (0o4751, 1_700_000_000)
    assert (info.uid, info.gid) == (os.getuid(), os.getgid())


async def test_a_folder_comes_with_its_name_and_with_a_dot_without(box):
    (box.root / "box-usr/lib/a").mkdir()
    (box.root / "box-usr/lib/a/b\nc").write_text("x")
    whole, _ = await box.pull("/box-usr/lib")
    contents, _ = await box.pull("/box-usr/lib/.")
    assert set(members(whole)) == {"lib", "lib/a", "lib/a/b\nc"}
    assert set(members(contents)) == {".", "./a", "./a/b\nc"}


async def test_links_stay_links_and_names_of_one_file_stay_one(box):
    top = box.root / "box-tmp"
    (top / "out").symlink_to("../../../../box-etc/shadow")
    (top / "first").write_text("data")
    os.link(top / "first", top / "second")
    data, _ = await box.pull("/box-tmp")
    found = members(data)
    assert found["box-tmp/out"].linkname == "../../../../box-etc/shadow"
    one, other = sorted(
        (found["box-tmp/first"], found["box-tmp/second"]), key=lambda info: info.islnk()
    )
    assert one.isreg() and other.islnk() and other.linkname == one.name


async def test_a_link_is_itself_or_with_follow_what_it_leads_to_inside(box):
    link, _ = await box.pull("/box-lib")
    assert members(link)["box-lib"].linkname == "box-usr/lib"
    assert members((await box.pull("/box-lib", follow=True))[0])["box-lib"].isdir()
    assert members((await box.pull("/box-lib/"))[0])["box-lib"].isdir()


@pytest.mark.parametrize(
    "target",
    ["../../../../../../../box-etc/passwd", "/box-etc/passwd", "/../../box-etc/passwd"],
)
async def test_no_link_leads_out_of_the_root(box, target):
    (box.root / "box-tmp/link").symlink_to(target)
    data, _ = await box.pull("/box-tmp/link", follow=True)
    assert content(data, "link") == b"inside\n"


async def test_dots_end_at_the_root(box):
    data, _ = await box.pull("/../../../../../box-etc/passwd")
    assert content(data, "passwd") == b"inside\n"


@requires("root")
async def test_a_link_of_proc_is_not_followed(box, tmp_path):
    (box.root / "box-tmp/self").symlink_to("/proc/self/root/box-etc/passwd")
    (box.root / "proc").mkdir()
    subprocess.run(["mount", "-t", "proc", "proc", box.root / "proc"], check=True)
    try:
        for path in ("/box-tmp/self", f"/proc/{os.getpid()}/root{box.outside}/passwd"):
            with pytest.raises(Denied, match="leads through /proc"):
                await box.pull(path, follow=True)
        with pytest.raises(Denied, match="use `exec`"):
            await box.pull("/proc/version")
        data, said = await box.pull("/.")
        assert "proc: the kernel's own (proc): what is in it is left out\n" in said
        assert {name for name in members(data) if name.startswith("./proc")} == {"./proc"}
    finally:
        subprocess.run(["umount", box.root / "proc"], check=True)


@requires("root")
async def test_devices_and_sockets_are_left_out_and_told_and_fifos_are_not_opened(box):
    top = box.root / "box-tmp"
    os.mknod(top / "null", 0o020666, os.makedev(1, 3))
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "socket"))
    data, said = await box.pull("/box-tmp")
    assert set(members(data)) == {"box-tmp", "box-tmp/fifo"}
    assert sorted(said.splitlines()) == [
        "null: a device or a socket: left out",
        "socket: a device or a socket: left out",
    ]
    with pytest.raises(Denied, match="device or a socket"):
        await box.pull("/box-tmp/null")


async def test_a_large_sparse_file_travels_as_its_data(box, tmp_path):
    with (box.root / "box-tmp/sparse").open("wb") as file:
        file.truncate(10 * 2**30)
        file.seek(5 * 2**30)
        file.write(b"in the middle")
    data, _ = await box.pull("/box-tmp/sparse")
    assert len(data) < 100_000
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-x", "-C", tmp_path / "out"], input=data, check=True)
    with (tmp_path / "out/sparse").open("rb") as file:
        file.seek(5 * 2**30)
        assert (file.read(13), os.fstat(file.fileno()).st_size) == (b"in the middle", 10 * 2**30)


async def test_a_file_without_any_data_travels_as_nothing(box):
    with (box.root / "box-tmp/hole").open("wb") as file:
        file.truncate(2**40)
    data, _ = await box.pull("/box-tmp/hole")
    assert (len(data) < 100_000, members(data)["hole"].size) == (True, 2**40)


async def test_a_file_that_shrinks_meanwhile_is_filled_up_and_told(box):
    path = box.root / "box-tmp/log"
    path.write_bytes(b"x" * 4_000_000)
    leaving = await box.archives.leave(box.lend(), "/box-tmp/log")
    first = await leaving.source.read(1024)
    assert first is not None
    path.write_bytes(b"")
    rest = await drain(leaving.source)
    leaving.source.close()
    assert b"zeros instead" in rest[StreamName.STDERR]
    data = first.chunks[0].data + rest[StreamName.ARCHIVE]
    assert members(data)["log"].size == 4_000_000


async def test_a_tree_deeper_than_a_path_is_read_as_far_as_paths_go(box):
    fd = os.open(box.root / "box-tmp", os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 250, dir_fd=fd)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    data, said = await box.pull("/box-tmp")
    assert "too deep for a path: left out" in said
    assert len(members(data)) == 17
    subprocess.run(["rm", "-r", box.root / "box-tmp"], check=True)


async def test_what_is_told_of_what_was_left_out_is_bounded(box):
    for number in range(50):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(box.root / f"box-tmp/{number}"))
    _, said = await box.pull("/box-tmp")
    assert len(said.splitlines()) == 21 and said.endswith("and 30 more\n")


async def test_the_size_is_told_before_the_first_byte(box, monkeypatch):
    (box.root / "box-tmp/data").write_bytes(b"x" * 1_000_000)
    leaving = await box.archives.leave(box.lend(), "/box-tmp")
    data = await drain(leaving.source)
    leaving.source.close()
    assert (leaving.name, leaving.folder) == ("box-tmp", True)
    assert leaving.bytes == len(data[StreamName.ARCHIVE])
    monkeypatch.setattr(packing, "MAX_MEASURED", 1)
    leaving = await box.archives.leave(box.lend(), "/box-tmp")
    assert leaving.bytes is None
    leaving.source.close()


async def test_more_folders_than_are_kept_in_mind_are_refused(box, monkeypatch):
    for number in range(12):
        (box.root / f"box-tmp/{number}").mkdir()
    monkeypatch.setattr(tree, "MAX_WAITING_BYTES", 700)
    monkeypatch.setattr(packing, "MAX_MEASURED", 5)
    leaving = await box.archives.leave(box.lend(), "/box-tmp")
    with pytest.raises(Exception, match="too many folders"):
        await drain(leaving.source)
    leaving.source.close()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/nowhere", NotFound),
        ("/box-etc/passwd/x", Invalid),
        ("/box-etc/passwd/", Invalid),
        ("/box-tmp/round", Denied),
        ("/" + "x" * 300, Invalid),
    ],
)
async def test_what_cannot_be_read_is_told_by_its_type(box, path, error):
    (box.root / "box-tmp/round").symlink_to("round")
    with pytest.raises(error):
        await box.pull(path, follow=True)


async def test_so_many_at_once_and_a_closed_one_makes_room(box):
    (box.root / "box-tmp/data").write_bytes(b"x" * 4_000_000)
    first = await box.archives.leave(box.lend(), "/box-tmp")
    second = await box.archives.leave(box.lend(), "/box-tmp")
    with pytest.raises(Busy, match="try again"):
        await box.archives.leave(box.lend(), "/box-tmp")
    first.source.close()
    with pytest.raises(Canceled):
        await first.source.read(1)
    await drain(second.source)
    second.source.close()
    await box.archives.close()
    assert (await box.pull("/box-etc/passwd"))[0]


async def test_a_root_that_is_asked_back_is_released_and_the_reader_told(box):
    (box.root / "box-tmp/data").write_bytes(b"x" * 4_000_000)
    leaving = await box.archives.leave(box.lend(), "/box-tmp")
    await box.roots.recall()
    assert box.archives.under_way == 0
    with pytest.raises(Canceled, match="not whole"):
        await leaving.source.read(1)
