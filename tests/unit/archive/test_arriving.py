"""What is unpacked in a container: all of a good archive, and of a bad one nothing elsewhere."""

import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.support.requirements import requires
from tests.support.tars import member, tar
from tests.unit.archive.box import feed

from wharfside_agent.archive.archives import TarArchives
from wharfside_protocol.errors import (
    AlreadyExists,
    Busy,
    Canceled,
    Denied,
    Invalid,
    NotFound,
    Unsupported,
)

pytestmark = requires("root")

FORMS = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}


@pytest.mark.parametrize("form", FORMS)
async def test_files_folders_and_links_arrive_with_their_facts(box, form):
    data = tar(
        [
            member("d", mode=0o2750, uid=5, gid=6, mtime=1_000_000_000),
            member("d/f", b"data" * 20_000, mode=0o4711, uid=7, gid=8, mtime=1_100_000_000),
            member("d/l", kind=tarfile.SYMTYPE, linkname="/box-etc/passwd", uid=9, gid=9),
            member("d/h", kind=tarfile.LNKTYPE, linkname="d/f"),
            member("d/p", kind=tarfile.FIFOTYPE, mode=0o620),
            member("d/" + "long" * 20, b"x"),
        ],
        FORMS[form],
    )
    await box.push("/box-tmp", data)
    top = box.root / "box-tmp/d"
    facts = top.stat()
    assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid) == (0o2750, 5, 6)
    assert facts.st_mtime == 1_000_000_000
    facts = (top / "f").stat()
    assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid) == (0o4711, 7, 8)
    assert (facts.st_mtime, facts.st_ino) == (1_100_000_000, (top / "h").stat().st_ino)
    assert (top / "f").read_bytes() == b"data" * 20_000
    assert ((top / "l").readlink(), (top / "l").lstat().st_uid) == (Path("/box-etc/passwd"), 9)
    assert (top / "p").is_fifo() and stat.S_IMODE((top / "p").stat().st_mode) == 0o620
    assert box.tree("box-tmp") == {"d", "d/f", "d/l", "d/h", "d/p", "d/" + "long" * 20}


async def test_what_came_out_goes_in_again_also_a_name_with_a_newline_and_one_of_no_text(box):
    top = os.fsencode(box.root / "box-tmp")
    for name in (b"new\nline", b"\xff\xfe", b"n" * 200, "ü".encode()):
        Path(os.fsdecode(top + b"/" + name)).write_bytes(name)
    with (box.root / "box-tmp/sparse").open("wb") as file:
        file.truncate(2**26)
        file.seek(2**25)
        file.write(b"middle")
    before = box.tree("box-tmp")
    data, _ = await box.pull("/box-tmp/.")
    (box.root / "copy").mkdir()
    await box.push("/copy", data)
    assert box.tree("copy") == before
    assert (box.root / "copy/sparse").stat().st_blocks < 100
    assert (box.root / "copy/sparse").read_bytes() == (box.root / "box-tmp/sparse").read_bytes()


async def test_gnu_tars_own_sparse_archive_is_read(box, tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**30)
        file.seek(2**20)
        file.write(b"here")
    words = ["tar", "-c", "-S", "--format=posix", "-C", tmp_path, "sparse"]
    await box.push("/box-tmp", subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    facts = (box.root / "box-tmp/sparse").stat()
    assert (facts.st_size, facts.st_blocks < 100) == (2**30, True)
    words.remove("--format=posix")
    with pytest.raises(Unsupported, match="--format=posix"):
        await box.push("/box-tmp", subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)


# docker cp's own table: a file or a folder, onto nothing, a file or a folder
FILE, FOLDER = [member("src", b"new")], [member("src"), member("src/a", b"new")]
CONTENTS = [member("./"), member("./a", b"new")]


@pytest.mark.parametrize(
    ("path", "what", "made"),
    [
        ("/box-tmp", FILE, "box-tmp/src"),
        ("/box-tmp/", FILE, "box-tmp/src"),
        ("/box-tmp/fresh", FILE, "box-tmp/fresh"),
        ("/box-etc/passwd", FILE, "box-etc/passwd"),
        ("/box-tmp/link", FILE, "box-etc/passwd"),
        ("/box-tmp/dangling", FILE, "box-tmp/target"),
        ("/box-tmp", FOLDER, "box-tmp/src/a"),
        ("/box-tmp/fresh", FOLDER, "box-tmp/fresh/a"),
        ("/box-tmp/fresh/", FOLDER, "box-tmp/fresh/a"),
        ("/box-tmp", CONTENTS, "box-tmp/a"),
        ("/box-tmp/fresh", CONTENTS, "box-tmp/fresh/a"),
        ("/box-lib", FILE, "box-usr/lib/src"),
        ("/", [member("box-lib/x", b"new")], "box-usr/lib/x"),
        ("/", [member("/box-tmp/deep/er/x", b"new")], "box-tmp/deep/er/x"),
    ],
)
async def test_each_comes_where_docker_cp_puts_it(box, path, what, made):
    (box.root / "box-tmp/link").symlink_to("../box-etc/passwd")
    (box.root / "box-tmp/dangling").symlink_to("target")
    await box.push(path, tar(what))
    assert (box.root / made).read_bytes() == b"new"
    assert (box.root / "box-tmp/link").is_symlink()


@pytest.mark.parametrize(
    ("path", "what", "error"),
    [
        ("/box-tmp/fresh/", FILE, NotFound),
        ("/box-tmp/fresh/.", FOLDER, NotFound),
        ("/nowhere/fresh", FILE, NotFound),
        ("/box-etc/passwd/", FILE, Invalid),
        ("/box-etc/passwd/x", FILE, Invalid),
        ("/box-etc/passwd", FOLDER, AlreadyExists),
        ("/", [member("box-etc", b"")], AlreadyExists),
        ("/", [member("box-etc", kind=tarfile.SYMTYPE, linkname="x")], AlreadyExists),
        ("/box-etc", [member("passwd")], AlreadyExists),
        ("/", [member("box-lib")], AlreadyExists),
        ("/box-tmp/fresh", [*FILE, member("other", b"")], Invalid),
        ("/box-tmp/fresh", [member("a/b", b"")], Invalid),
        ("/box-tmp/fifo", FILE, Denied),
    ],
)
async def test_what_docker_cp_refuses_is_refused(box, path, what, error):
    os.mkfifo(box.root / "box-tmp/fifo")
    with pytest.raises(error):
        await box.push(path, tar(what))
    assert (box.root / "box-etc/passwd").read_text() == "inside\n"


def up(name):
    """Out of the root, from `box-tmp`, and no farther: where it is not refused, it harms nobody."""
    return f"../../outside/{name}"


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ([member(up("passwd"), b"x")], Denied),
        ([member("a/../../x", b"x")], Denied),
        ([member("x", kind=tarfile.LNKTYPE, linkname=up("passwd"))], Denied),
        ([member("x", kind=tarfile.LNKTYPE, linkname="out/passwd")], Denied),
        ([member("out/x", b"x")], Denied),
        ([member("out/passwd", b"x")], Denied),
        ([member("out")], AlreadyExists),
        (
            [
                member("sly", kind=tarfile.SYMTYPE, linkname=up("")),
                member("sly/x", b"x"),
            ],
            Denied,
        ),
        ([member("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3)], Denied),
        ([member("sda", kind=tarfile.BLKTYPE, devmajor=8)], Denied),
    ],
)
async def test_no_member_leads_out_and_no_device_is_made(box, what, error):
    (box.root / "box-tmp/out").symlink_to(box.outside)
    with pytest.raises(error):
        await box.push("/box-tmp", tar(what))


async def test_a_hard_link_to_what_it_is_already_leaves_nothing_else(box):
    data = tar([member("f", b"x"), member("h", kind=tarfile.LNKTYPE, linkname="f")])
    for _ in range(2):
        await box.push("/box-tmp", data)
    await box.push("/box-tmp", tar([member("h", kind=tarfile.LNKTYPE, linkname="f")]))
    assert box.tree("box-tmp") == {"f", "h"}


async def test_a_hard_link_to_a_link_that_leads_out_is_a_link_still(box):
    """What it leads to is neither read nor given another name."""
    (box.root / "box-tmp/out").symlink_to(box.outside / "passwd")
    await box.push("/box-tmp", tar([member("h", kind=tarfile.LNKTYPE, linkname="out")]))
    assert (box.root / "box-tmp/h").is_symlink()
    assert (box.outside / "passwd").stat().st_nlink == 1


async def test_what_was_there_is_replaced_and_never_written_through(box):
    top = box.root / "box-tmp"
    (top / "link").symlink_to(box.outside / "passwd")
    os.link(box.root / "box-etc/passwd", top / "hard")
    os.mknod(top / "device", 0o020666, os.makedev(1, 3))
    names = ("link", "hard", "device")
    await box.push("/box-tmp", tar([member(name, b"new") for name in names]))
    assert [(top / name).read_bytes() for name in names] == [b"new"] * 3
    assert all(stat.S_ISREG((top / name).lstat().st_mode) for name in names)
    assert (box.root / "box-etc/passwd").read_text() == "inside\n"


@pytest.mark.parametrize("cut", [100, 512, 700, 1024, 1536, 30_000])
async def test_a_cut_off_archive_is_an_error_that_says_what_was_written(box, cut):
    data = tar([member("whole", b"w" * 512), member("half", b"h" * 60_000)])
    for eof in (True, False):
        with pytest.raises(Invalid, match="cut off") as caught:
            await box.push("/box-tmp", data[:cut], eof=eof)
        whole = cut >= 1024
        assert caught.value.details["made"] == int(whole)
        assert box.tree("box-tmp") == ({"whole"} if whole else set())


async def test_a_session_that_ends_in_the_middle_leaves_no_half_and_no_thread(box):
    data = tar([member("half", b"h" * 600_000)])
    arriving = await box.archives.arrive(box.lend(), "/box-tmp")
    await feed(arriving.sink, data[:300_000])
    arriving.source.close()
    arriving.sink.close()
    with pytest.raises(Canceled):
        await arriving.source.read(1)
    await box.archives.close()
    assert (box.tree("box-tmp"), box.archives.under_way) == (set(), 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a tar at all" * 64,
        b"\x1f\x8b" + bytes(1022),
        os.urandom(4096),
    ],
)
async def test_what_is_no_tar_is_refused(box, data):
    with pytest.raises(Invalid):
        await box.push("/box-tmp", data)
    assert box.tree("box-tmp") == set()


async def test_a_member_that_is_wrong_is_told_to_a_sender_who_still_sends(box):
    arriving = await box.archives.arrive(box.lend(), "/box-tmp")
    with pytest.raises(Denied, match="leave devices out"):
        while True:
            await feed(arriving.sink, tar([member("x", kind=tarfile.CHRTYPE)]) * 50)
    arriving.sink.close()
    arriving.source.close()


async def test_a_full_disk_is_told_and_room_is_kept(box):
    """On a small file system of its own, as a container's layer may be."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "t", box.root / "box-tmp"], check=True)
    try:
        for kept in (0, 4 * 2**20):
            box.archives = TarArchives(most=2, kept_free=kept)
            what = [member("small", b"s"), *(member(f"{i}", b"x" * 2**20) for i in range(10))]
            with pytest.raises(Busy, match="disk is full") as caught:
                await box.push("/box-tmp", tar(what))
            assert (box.root / "box-tmp/small").read_bytes() == b"s"
            made = caught.value.details["made"]
            assert made == len(box.tree("box-tmp")) and caught.value.details["member"] == str(
                made - 1
            )
            assert kept == 0 or os.statvfs(box.root / "box-tmp").f_bavail * 4096 >= kept - 2**21
            subprocess.run(["rm", "-r", *(box.root / "box-tmp").iterdir()], check=True)
    finally:
        subprocess.run(["umount", box.root / "box-tmp"], check=True)


async def test_a_read_only_and_a_mounted_file_are_refused_by_name(box):
    file = box.root / "box-etc/passwd"
    subprocess.run(["mount", "--bind", box.outside / "passwd", file], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "t", box.root / "box-tmp"], check=True)
    try:
        with pytest.raises(Denied, match="mount point"):
            await box.push("/box-etc/passwd", tar(FILE))
        with pytest.raises(Denied, match="read-only"):
            await box.push("/box-tmp", tar(FILE))
    finally:
        subprocess.run(["umount", file, box.root / "box-tmp"], check=True)
    assert box.tree("box-etc") == {"passwd"}
