"""Seeds in files: private from the start, whole, and of the kind that was asked for."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl.signing import VerifyKey

from wharfside_client.auth.errors import BadKey
from wharfside_client.auth.keys import Key, Kind
from wharfside_client.auth.placing import place
from wharfside_client.errors import LocalFiles


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize(("kind", "letter"), [(k, k.name[0]) for k in Kind])
def test_a_key_survives_its_file(tmp_path: Path, kind: Kind, letter: str) -> None:
    key = Key.make(kind).save(tmp_path / "keys" / "one.nk")
    again = Key.read(tmp_path / "keys" / "one.nk", kind)
    assert again.public == key.public
    assert again.public.startswith(letter)
    assert again.seed.startswith(f"S{letter}")


@pytest.mark.usefixtures("open_umask")
def test_nobody_else_reads_a_seed(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "one.nk"
    Key.make(Kind.USER).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_seed_of_another_kind_is_refused(tmp_path: Path) -> None:
    Key.make(Kind.USER).save(tmp_path / "user.nk")
    with pytest.raises(BadKey, match="no seed of kind account"):
        Key.read(tmp_path / "user.nk", Kind.ACCOUNT)


def test_a_seed_that_is_cut_is_refused_wherever_it_is(tmp_path: Path) -> None:
    seed = Key.make(Kind.USER).seed
    for length in range(len(seed)):
        (tmp_path / "cut.nk").write_text(seed[:length])
        with pytest.raises(BadKey, match=r"cut\.nk"):
            Key.read(tmp_path / "cut.nk", Kind.USER)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="No such file"):
        Key.read(tmp_path / "none.nk", Kind.USER)
    (tmp_path / "noise.nk").write_bytes(b"\xff" * 58)
    with pytest.raises(BadKey):
        Key.read(tmp_path / "noise.nk", Kind.USER)


def test_a_seed_is_in_no_repr() -> None:
    key = Key.make(Kind.USER)
    assert key.seed not in repr(key)
    assert key.public in repr(key)


def test_what_it_signs_its_public_key_proves() -> None:
    key = Key.make(Kind.USER)
    raw = base64.b32decode(key.public + "=" * (-len(key.public) % 8))  # kind, 32 bytes, CRC
    VerifyKey(raw[1:33]).verify(b"words", key.sign(b"words"))


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    with pytest.raises(LocalFiles, match="cannot be written"):
        place(tmp_path / "file" / "in-a-file", "after")
    (tmp_path / "folder").mkdir()
    with pytest.raises(LocalFiles):
        place(tmp_path / "folder", "after")
    assert (tmp_path / "file").read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
