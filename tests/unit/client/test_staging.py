"""What a node sends is unpacked here: a good archive whole, and a hostile one not at all."""

import os
import stat
import tarfile
from pathlib import Path

import pytest
from tests.support.tars import member, tar

from wharfside_client.errors import LocalFiles
from wharfside_client.localfiles import LocalTree
from wharfside_client.staging import Staging
from wharfside_protocol.errors import AlreadyExists, Invalid, WharfsideError
from wharfside_protocol.tar_headers import Facts, sparse_header

LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The operator's folder, beside a secret that no archive may touch."""
    (tmp_path / "here").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("secret\n")
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path / "here"
    assert (tmp_path / "secret/file").read_text() == "secret\n"
    assert [path.name for path in (tmp_path / "secret").iterdir()] == ["file"]
    assert {path.name for path in tmp_path.iterdir()} == {"here", "secret"}


def unpack(data, to=".", notes=None, **how):
    stream = memoryview(data)

    def read(most):
        nonlocal stream
        piece, stream = bytes(stream[:most]), stream[most:]
        return piece

    def note(path, why):
        if notes is not None:
            notes.append((path, why))

    staging = Staging(to, note, **how)
    staging.unpack(read)
    return staging.made


def tree(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_good_archive_is_there_with_its_times_and_harmless_modes(here):
    data = tar(
        [
            member("d", mode=0o777, mtime=5),
            member("d/f", b"data", mode=0o6777, uid=12, gid=13, mtime=1_000_000_000),
            member("d/l", kind=LINK, linkname="/etc/passwd"),
            member("d/h", kind=HARD, linkname="d/f"),
        ]
    )
    assert unpack(data) == 4
    facts = (here / "d/f").stat()
    assert (stat.S_IMODE(facts.st_mode), facts.st_mtime) == (0o755, 1_000_000_000)
    assert (facts.st_uid, facts.st_ino) == (os.getuid(), (here / "d/h").stat().st_ino)
    assert (here / "d/l").readlink() == Path("/etc/passwd")
    assert (stat.S_IMODE((here / "d").stat().st_mode), (here / "d").stat().st_mtime) == (0o755, 5)


def test_owners_are_kept_where_asked_for_and_root(here):
    if os.geteuid():
        pytest.skip("only root may give files away")
    files = [member("f", b"", uid=12, gid=13), member("l", kind=LINK, linkname="x", uid=14)]
    unpack(tar(files), keep_owner=True)
    assert ((here / "f").stat().st_uid, (here / "f").stat().st_gid) == (12, 13)
    assert (here / "l").lstat().st_uid == 14


def test_holes_stay_holes(here):
    size = 2**30
    data = sparse_header("s", Facts(0o600, 0, 0, 0), size, [(2**20, 4), (size, 0)])
    unpack(data + b"here" + bytes(508) + bytes(1024))
    facts = (here / "s").stat()
    assert (facts.st_size, facts.st_blocks < 100) == (size, True)


SECRET = "../secret/file"


@pytest.mark.parametrize(
    "what",
    [
        [member("../secret/x", b"x")],
        [member("a/../../secret/x", b"x")],
        [member("up", kind=LINK, linkname="../secret"), member("up/file", b"x")],
        [member("up", kind=LINK, linkname="../secret"), member("up/new/deep", b"x")],
        [member("up", kind=LINK, linkname="../secret"), member("up/d")],
        [member("up", kind=LINK, linkname="../secret"), member("h", kind=HARD, linkname="up/file")],
        [member("h", kind=HARD, linkname=SECRET)],
        [member("h", kind=HARD, linkname="not/there")],
        [member("there/file", b"x")],
        [member("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3)],
        [member("/".join("d" * 300), b"")],
        [member("", b"x")],
    ],
)
def test_a_hostile_archive_changes_nothing(here, what):
    (here / "there").symlink_to("../secret")
    with pytest.raises(WharfsideError):
        unpack(tar([member("first", b"fine"), *what]))
    assert tree(here) == {"there"}


def test_a_hard_link_to_a_link_of_the_archive_is_a_link_and_its_file_replaces_it(here):
    what = [
        member("l", kind=LINK, linkname=SECRET),
        member("h", kind=HARD, linkname="l"),
        member("h", b"new"),
        member("l", b"new"),
    ]
    unpack(tar(what))
    assert ((here / "h").read_text(), (here / "h").is_symlink()) == ("new", False)


def test_links_that_were_there_are_replaced_and_not_followed(here):
    (here / "l").symlink_to(SECRET)
    (here / "d").mkdir()
    (here / "d/l").symlink_to("../../secret/file")
    unpack(tar([member("l", b"new"), member("d"), member("d/l", b"new")]))
    assert ((here / "l").read_text(), (here / "d/l").read_text()) == ("new", "new")


@pytest.mark.parametrize("cut", [0, 100, 600, 2000])
def test_a_cut_off_archive_leaves_nothing(here, cut):
    with pytest.raises(Invalid, match="cut off"):
        unpack(tar([member("a", b"x" * 1000), member("b", b"x")])[:cut])
    assert tree(here) == set()


def test_where_a_folder_and_a_file_meet_nothing_is_moved(here):
    (here / "d").mkdir()
    (here / "d/x").write_text("old")
    with pytest.raises(AlreadyExists):
        unpack(tar([member("a", b"new"), member("d"), member("d/x")]))
    assert tree(here) == {"d", "d/x"}


def test_a_fifo_is_left_out_and_told(here):
    notes = []
    unpack(tar([member("p", kind=tarfile.FIFOTYPE), member("f", b"")]), notes=notes)
    assert (tree(here), notes) == ({"f"}, [("p", "a FIFO: left out")])


@pytest.mark.parametrize("to", ["no/where", "file/", "file/.", "file/x", "new/."])
def test_a_place_that_cannot_be_is_told_before_anything_is_read(here, to):
    (here / "file").write_text("")
    with pytest.raises(LocalFiles):
        unpack(tar([member("f", b"")]), to)


def test_a_full_disk_is_told(here, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(LocalFiles, match="No space left"):
        unpack(tar([member("f", b"data")]))
    monkeypatch.undo()


def pack(text, notes=None, **how):
    source = LocalTree.of(text, **how)
    note = (lambda path, why: notes.append(why)) if notes is not None else (lambda *_: None)
    return b"".join(source.stream(note)), source


def test_what_is_here_is_packed_and_its_length_known(here):
    (here / "d").mkdir()
    (here / "d/f\n\udcff").write_bytes(b"data")
    (here / "d/l").symlink_to("f")
    os.link(here / "d/l", here / "d/m", follow_symlinks=False)
    os.mkfifo(here / "d/p")
    data, source = pack("d")
    assert abs(source.size() - len(data)) <= 1024  # the name that is no text takes a header more
    (here / "out").mkdir()
    unpack(data, "out")
    assert tree(here / "out/d") == {"f\n\udcff", "l", "m"}


def test_owners_are_roots_where_not_kept(here):
    (here / "f").write_text("")
    for keep, owner in ((False, 0), (True, os.getuid())):
        data, _ = pack("f", keep_owner=keep)
        info = tarfile.TarInfo.frombuf(data[:512], "utf-8", "strict")
        assert info.uid == owner


@pytest.mark.parametrize("text", ["no", "f/", "f/."])
def test_what_is_not_here_is_told(here, text):
    (here / "f").write_text("")
    with pytest.raises(LocalFiles):
        pack(text)


def test_a_device_is_left_out(here):
    notes = []
    data, _ = pack("/dev/null", notes)
    assert (data, notes) == (bytes(1024), ["a device or a socket: left out"])


def test_a_file_that_shrinks_is_told(here):
    (here / "f").write_bytes(b"x" * 2_000_000)
    stream = LocalTree.of("f").stream(lambda *_: None)
    next(stream)
    (here / "f").write_bytes(b"")
    with pytest.raises(LocalFiles, match="shrank"):
        list(stream)
