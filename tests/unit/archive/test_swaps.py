"""A process in the container that swaps a folder for a link that leads out, as fast as it can."""

import subprocess
import sys

import pytest
from tests.support.requirements import requires
from tests.support.tars import content, member, members, tar

from wharfside_protocol.errors import WharfsideError

pytestmark = requires("root")

ROUNDS = 3000
"""At most; each outcome is seen within some dozens."""

SWAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.chdir(sys.argv[1])
print("swapping", flush=True)
while True:
    libc.renameat2(-100, b"folder", -100, b"link", 2)
"""


@pytest.fixture
def swapped(box):
    """`box-tmp/folder`, which is now a folder and now a link to the place outside."""
    (box.root / "box-tmp/folder").mkdir()
    (box.root / "box-tmp/folder/passwd").write_text("inside\n")
    (box.root / "box-tmp/link").symlink_to(box.outside)
    words = [sys.executable, "-c", SWAP, box.root / "box-tmp"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"swapping\n"
        yield box
        process.kill()


async def test_nothing_is_written_outside(swapped):
    """The folder itself, or a refusal; the fixture looks at the place outside."""
    outcomes = set()
    for _ in range(ROUNDS):
        try:
            await swapped.push("/box-tmp", tar([member("folder/new", b"new")]))
            outcomes.add("written")
        except WharfsideError as error:
            outcomes.add(error.code)
        if {"written", "denied"} <= outcomes:
            break
    assert {"written", "denied"} <= outcomes


async def test_nothing_is_read_from_outside(swapped):
    outcomes = set()
    for _ in range(ROUNDS):
        data, said = await swapped.pull("/box-tmp")
        for name, info in members(data).items():
            if info.isreg():
                assert content(data, name) == b"inside\n"
                outcomes.add("read")
        if "changed while it was read" in said:
            outcomes.add("told")
        if outcomes == {"read", "told"}:
            break
    assert outcomes == {"read", "told"}
