"""The profile: what it allows, refuses and leaves to a newer day, as the compiled filter says."""

import platform
import shutil
from pathlib import Path

import pytest
from tests.support.requirements import requires
from tests.unit.oci.bpf import answer

from wharfside_agent.core.seccomp import ALLOWED, ALLOWED_32, DENIED, NATIVE, profile_for
from wharfside_agent.runtime import seccomp_filter
from wharfside_agent.runtime.seccomp_filter import compile_filter, takes_filter

ALLOW, EPERM, ENOSYS = 0x7FFF_0000, 0x0005_0001, 0x0005_0026
KILL = 0
X86_64, I386 = 0xC000_003E, 0x4000_0003
CLONE_NEWUSER, CLONE_NEWNET, CLONE_VM, CLONE_THREAD = 0x1000_0000, 0x4000_0000, 0x100, 0x1_0000
AF_INET, AF_VSOCK = 2, 40
ADDR_NO_RANDOMIZE = 0x4_0000

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the numbers below are of x86_64"
)


@pytest.fixture(scope="module")
def program():
    compiled = compile_filter(profile_for("x86_64"))
    assert compiled is not None, "libseccomp is a dependency of crun: it must be here"
    return compiled


@pytest.mark.parametrize(
    ("call", "number", "args", "expected"),
    [
        ("read", 0, (), ALLOW),
        ("execve", 59, (), ALLOW),
        ("io_submit", 209, (), ALLOW),
        ("mount", 165, (), EPERM),
        ("unshare", 272, (), EPERM),
        ("setns", 308, (), EPERM),
        ("bpf", 321, (), EPERM),
        ("keyctl", 250, (), EPERM),
        ("io_uring_setup", 425, (), EPERM),
        ("open_by_handle_at", 304, (), EPERM),
        ("clone3", 435, (), ENOSYS),
        ("a call of tomorrow", 990, (), ENOSYS),
        ("fork by clone", 56, (17,), ALLOW),
        ("thread by clone", 56, (CLONE_VM | CLONE_THREAD,), ALLOW),
        ("user namespace by clone", 56, (CLONE_NEWUSER | 17,), ENOSYS),
        ("network namespace by clone", 56, (CLONE_NEWNET,), ENOSYS),
        ("personality, asked", 135, (0xFFFF_FFFF,), ALLOW),
        ("personality, linux32", 135, (8,), ALLOW),
        ("personality, not random", 135, (ADDR_NO_RANDOMIZE,), ENOSYS),
        ("socket, inet", 41, (AF_INET,), ALLOW),
        ("socket, vsock", 41, (AF_VSOCK,), ENOSYS),
    ],
)
def test_what_it_answers_on_x86_64(program, call, number, args, expected):
    assert answer(program, X86_64, number, args) == expected, call


@pytest.mark.parametrize(
    ("call", "number", "args", "expected"),
    [
        ("read", 3, (), ALLOW),
        ("socketcall", 102, (), ALLOW),
        ("clock_gettime64", 403, (), ALLOW),
        ("unshare", 310, (), EPERM),
        ("user namespace by clone", 120, (CLONE_NEWUSER,), ENOSYS),
        ("vm86", 166, (), ENOSYS),
    ],
)
def test_32_bit_programs_have_the_same_rules(program, call, number, args, expected):
    assert answer(program, I386, number, args) == expected, call


def test_other_architectures_are_killed(program):
    arm, x32_read = 0x4000_0028, 0x4000_0000
    assert answer(program, arm, 3) == KILL
    assert answer(program, X86_64, x32_read) == KILL


def test_every_name_stands_once():
    groups = [*ALLOWED.values(), *ALLOWED_32.values(), DENIED]
    names = [name for group in groups for name in group.split()] + [
        "clone",
        "personality",
        "socket",
    ]
    assert sorted(names) == sorted(set(names))
    for native in NATIVE.values():
        assert set(native.split()) & set(DENIED.split()) == set()


@pytest.mark.parametrize(
    ("machine", "architectures"),
    [
        ("x86_64", ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]),
        ("aarch64", ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
        ("riscv64", None),
    ],
)
def test_the_architectures_follow_the_machine(machine, architectures):
    profile = profile_for(machine)
    assert profile.get("architectures") == architectures
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"


def test_s390_has_the_flags_of_clone_second():
    rules = [rule for rule in profile_for("s390x")["syscalls"] if rule["names"] == ["clone"]]
    assert [rule["args"][0]["index"] for rule in rules] == [1]


def test_without_libseccomp_the_runtime_compiles(monkeypatch):
    monkeypatch.setattr(seccomp_filter, "_LIBRARY", "libnothing-such.so.7")
    assert compile_filter(profile_for("x86_64")) is None


@requires("crun")
def test_crun_takes_a_ready_filter():
    program = shutil.which("crun")
    assert program is not None and takes_filter(Path(program))


def test_a_program_that_does_not_name_the_annotation_takes_none(tmp_path):
    older = tmp_path / "crun"
    older.write_bytes(b"\x7fELF run.oci.seccomp.receiver run.oci.handler")
    assert not takes_filter(older)
    with pytest.raises(FileNotFoundError):
        takes_filter(tmp_path / "none")
