"""Headers of tar streams: read as others write them; whatever comes is read or refused."""

import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_protocol.errors import Invalid, WharfsideError
from wharfside_protocol.tar_headers import END, Facts, header, sparse_header
from wharfside_protocol.tar_members import (
    MAX_HEADER_BYTES,
    Kind,
    Member,
    next_member,
    padding,
)

FACTS = Facts(0o640, 1, 2, 3)


def reader(data):
    stream = io.BytesIO(data)

    def read(size):
        assert size <= MAX_HEADER_BYTES, "more at once than is bounded"
        found = stream.read(size)
        if len(found) < size:
            raise Invalid("cut off")
        return found

    return read


def other_header(form=tarfile.PAX_FORMAT, **fields):
    """As Python's own tarfile writes it."""
    info = tarfile.TarInfo(fields.pop("name", "x"))
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(form, "utf-8", "surrogateescape")


names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=300
).filter(lambda name: len(name.encode()) <= 1000)
ids = st.integers(0, 2**32 - 2)


@given(names, ids, ids, st.integers(0, 2**40), st.integers(0, 2**50))
def test_what_we_write_and_what_others_write_is_read(name, uid, gid, mtime, size):
    facts = Facts(0o644, uid, gid, mtime)
    expected = Member(
        Kind.FILE, name, 0o644, uid, gid, mtime, size, size, "", ((0, size),) if size else ()
    )
    ours = header(Kind.FILE, name, facts, size=size)
    assert next_member(reader(ours)) == expected
    others = other_header(
        name=name, size=size, mode=0o644, uid=uid, gid=gid, mtime=mtime, form=tarfile.GNU_FORMAT
    )
    assert next_member(reader(others)) == expected


def test_what_we_write_others_read():
    data = header(Kind.FOLDER, "d", FACTS)
    data += header(Kind.LINK, "l", FACTS, link="/" + "t" * 200)
    data += sparse_header("s\n", FACTS, 5000, [(1000, 10), (5000, 0)]) + b"0123456789" + bytes(502)
    with tarfile.open(fileobj=io.BytesIO(data + END)) as archive:
        found = {info.name: info for info in archive}
        assert found["d"].isdir() and found["l"].linkname == "/" + "t" * 200
        file = archive.extractfile("s\n")
        assert file is not None
        assert file.read() == bytes(1000) + b"0123456789" + bytes(3990)


def test_the_mark_at_the_end_and_nothing_else_is_the_end():
    assert next_member(reader(END)) is None
    with pytest.raises(Invalid, match="cut off"):
        next_member(reader(b""))


def test_global_headers_of_git_archive_are_passed_over():
    comment = tarfile.TarInfo.create_pax_global_header({"comment": "a commit"})
    assert next_member(reader(comment + other_header())).name == "x"


@pytest.mark.parametrize(
    "data",
    [
        other_header(uid=-1, form=tarfile.GNU_FORMAT),
        other_header(size=-(2**70), form=tarfile.GNU_FORMAT),
        other_header(size=2**66),
        other_header(mtime=float(2**50)),
        other_header(pax_headers={"mtime": "nan"}),
        other_header(pax_headers={"mtime": "-inf"}),
        other_header(pax_headers={"uid": "1e9"}),
        other_header(pax_headers={"path": "a\0b"}),
        other_header(name="n" * 5000),
        other_header(pax_headers={"comment": "c" * MAX_HEADER_BYTES}),
        other_header(pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
        other_header(pax_headers={"GNU.sparse.map": "0,1"}),
        other_header(type=b"S"),
        other_header(type=tarfile.XHDTYPE, size=11) + b"11 path=x.\n" + bytes(501),
        other_header(type=tarfile.XHDTYPE, size=9) + b"99999 a=b" + bytes(503),
        other_header(type=tarfile.XHDTYPE, size=9) + b"-9 a=bcd\n" + bytes(503),
        other_header(type=tarfile.XHDTYPE, size=4) + b"0 =\n" + bytes(508),
        other_header(type=tarfile.XHDTYPE) * 100,
        sparse_header("s", FACTS, 10, [(5, 5), (0, 5)]),
        sparse_header("s", FACTS, 10, [(5, 6)]),
        sparse_header("s", FACTS, 10, [(0, 1)] * 200_000),
    ],
)
def test_impossible_headers_are_refused(data):
    with pytest.raises(WharfsideError):
        next_member(reader(data + bytes(4096)))


@given(st.binary(max_size=2000), st.sampled_from("xgLK0S"), st.integers(0, 2000))
def test_bytes_of_any_kind_are_read_or_refused(body, kind, size):
    data = other_header(type=kind.encode(), size=size) + body + other_header() + END
    with suppress(WharfsideError):
        next_member(reader(data))


@given(st.integers(0, 511), st.integers(1, 255))
def test_a_damaged_header_is_noticed(at, change):
    block = bytearray(other_header(name="name", size=5))
    block[at] ^= change
    try:
        found = next_member(reader(bytes(block)))
    except WharfsideError:
        return
    # a changed bit of the padding around the checksum's digits does not count
    assert found == next_member(reader(other_header(name="name", size=5)))


@pytest.mark.parametrize(("size", "fill"), [(0, 0), (1, 511), (512, 0), (513, 511)])
def test_padding(size, fill):
    assert padding(size) == fill
