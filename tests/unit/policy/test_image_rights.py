"""What the processes of an image may do, read from CRIU's format; what is broken is told."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.policy.kit import config, rootfs_spec

from wharfside_agent.core.policy.images import CAPABILITIES, task_in
from wharfside_agent.core.policy.rules import Rules, RuleSet
from wharfside_agent.runtime.image_check import check_image
from wharfside_protocol.errors import Denied, Invalid, WharfsideError

KILL, SYS_ADMIN, BPF = 5, 21, 39


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def inner(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def core(
    effective: int,
    *,
    uid: int = 0,
    seccomp: int | None = 2,
    packed: bool = False,
    no_new: int = 1,
    leads: bool = True,
) -> bytes:
    """A `core-<pid>.img`: two words of each set, as CRIU writes them. `leads`: a task's first."""
    words = [effective & 0xFFFFFFFF, effective >> 32]
    if packed:
        sets = inner(11, b"".join(map(varint, words)))
    else:
        sets = b"".join(number(11, word) for word in words)
    creds = number(1, uid) + number(3, uid) + sets + number(13, 0) + number(18, no_new)
    filters = b"" if seccomp is None else number(11, seccomp)
    thread = number(1, 0) + inner(10, creds) + filters
    return packed_core(number(1, 1) + inner(5, thread) + (inner(3, number(1, 1)) if leads else b""))


def packed_core(message: bytes) -> bytes:
    return struct.pack("<III", 0x54564319, 0x55053847, len(message)) + message


def test_a_dead_process_has_nothing() -> None:
    """CRIU writes no thread of one that its parent has not waited for."""
    task, filtered = task_in(packed_core(number(1, 1) + inner(3, number(1, 2) + number(2, 0))))
    assert (task.capabilities, task.root, task.new_privileges, filtered) == (
        set(),
        False,
        False,
        True,
    )


@pytest.mark.parametrize(
    "tasks",
    [
        b"",
        inner(3, number(1, 1)),
        inner(3, number(1, 2) + number(1, 1)),
        inner(3, number(1, 2)) + inner(3, number(1, 1)),
        number(3, 2),
    ],
)
def test_one_that_is_not_surely_dead_must_tell_its_rights(tasks: bytes) -> None:
    with pytest.raises(Invalid, match="no credentials"):
        task_in(packed_core(number(1, 1) + tasks))


@pytest.mark.parametrize("packed", [False, True])
def test_capabilities_have_their_names(packed: bool) -> None:
    task, filtered = task_in(core(1 << KILL | 1 << SYS_ADMIN | 1 << BPF, packed=packed))
    assert task.capabilities == {"CAP_KILL", "CAP_SYS_ADMIN", "CAP_BPF"}
    assert (task.root, filtered) == (True, True)
    assert not task_in(core(0, uid=7))[0].root


@pytest.mark.parametrize(
    ("seccomp", "leads", "filtered"),
    [
        (2, True, True),
        (0, True, False),
        (None, True, False),
        (None, False, True),
        (0, False, False),
    ],
)
def test_a_thread_has_its_tasks_filter_unless_it_is_told_apart(
    seccomp: int | None, leads: bool, filtered: bool
) -> None:
    assert task_in(core(0, seccomp=seccomp, leads=leads))[1] is filtered


def test_no_new_privileges_must_be_told() -> None:
    assert task_in(core(0, no_new=0))[0].new_privileges
    assert not task_in(core(0))[0].new_privileges


def test_a_capability_that_has_no_name_yet_is_one_all_the_same() -> None:
    assert task_in(core(1 << 50))[0].capabilities == {"CAP_50"}
    assert CAPABILITIES[40] == "CAP_CHECKPOINT_RESTORE"


@given(st.data())
def test_a_broken_image_is_invalid_and_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(core(1 << KILL))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for each in (bytes(whole), cut):
        try:
            task_in(each)
        except Invalid as error:
            assert "cannot be read" in error.message


@pytest.mark.parametrize("data", [b"", b"x" * 12, core(0)[:-3]])
def test_what_is_no_image_of_a_task_is_told(data: bytes) -> None:
    with pytest.raises(Invalid, match="the image of a process cannot be read"):
        task_in(data)


def image(folder: Path, theirs: dict[str, Any], *cores: bytes) -> Path:
    (folder / "spec.dump").write_text(json.dumps(theirs))
    (folder / "checkpoint").mkdir()
    for at, data in enumerate(cores, 1):
        (folder / "checkpoint" / f"core-{at}.img").write_bytes(data)
    return folder


SECCOMP = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}}
GOOD = core(1 << KILL)


@pytest.mark.parametrize(
    ("changes", "cores", "rule"),
    [
        (SECCOMP, [GOOD], None),
        (SECCOMP, [GOOD, core(1 << SYS_ADMIN)], "capabilities"),
        (SECCOMP, [GOOD, core(1 << KILL, seccomp=0)], "seccomp"),
        (
            SECCOMP | {"process": {"capabilities": {"bounding": ["CAP_BPF"]}}},
            [GOOD],
            "capabilities",
        ),
        (SECCOMP | {"hooks": {"poststop": [{"path": "/x"}]}}, [GOOD], "hooks"),
        ({}, [GOOD], "seccomp"),
    ],
)
def test_an_image_brings_nothing_that_the_rules_deny(
    tmp_path: Path, changes: dict[str, Any], cores: list[bytes], rule: str | None
) -> None:
    folder = image(tmp_path, config(**changes), *cores)
    if rule is None:
        check_image(folder, rootfs_spec(), "runc", RuleSet())
        return
    with pytest.raises(Denied, match="the checkpoint's") as denied:
        check_image(folder, rootfs_spec(), "runc", RuleSet())
    assert denied.value.details["rule"] == f"policy.{rule}"
    check_image(
        folder, rootfs_spec(), "runc", RuleSet("policy", Rules(privileged=True, hooks=True))
    )


def test_the_limits_that_it_had_are_not_what_it_will_have(tmp_path: Path) -> None:
    rules = RuleSet("policy", Rules(limits_required=("memory",)))
    check_image(image(tmp_path, config(**SECCOMP), GOOD), rootfs_spec(), "runc", rules)


@pytest.mark.parametrize("spec_dump", [b"[]", b"{", b"\xff", b"{}" + b" " * 1024 * 1024])
def test_a_config_that_cannot_be_read_is_told(tmp_path: Path, spec_dump: bytes) -> None:
    folder = image(tmp_path, config(), GOOD)
    (folder / "spec.dump").write_bytes(spec_dump)
    with pytest.raises(WharfsideError):
        check_image(folder, rootfs_spec(), "runc", RuleSet())
