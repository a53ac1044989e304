"""Memory that is freed and wanted again, as each frame of output in bulk is."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from wharfside_agent.heap import keep_freed
if {keeps}:
    keep_freed()
def rounds(count):
    for _ in range(count):
        blocks = [bytearray(256 * 1024) for _ in range(8)]
        del blocks
rounds(20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
rounds(50)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, keeps: bool) -> int:
    argv = [sys.executable, "-c", PROGRAM.format(keeps=keeps)]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_it_is_not_given_back_and_faulted_in_again() -> None:
    blocks = 50 * 8 * 256 // 4  # pages
    assert faults(keeps=True) < blocks // 10 < blocks // 2 < faults(keeps=False)
