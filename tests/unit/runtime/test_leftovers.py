"""What a launch that was half done has left running is ended, all of it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest
from ulid import ULID

from wharfside_agent.runtime.leftovers import end_naming
from wharfside_agent.watchers.pidfd import is_over

PROGRAMS = frozenset({"conmon", "runc"})
RUNTIME = "sleep 1000 & echo $!; wait"
MONITOR = f"(exec -a runc bash -c '{RUNTIME}' runc $0) & wait"


@pytest.fixture
def name() -> str:
    return f"{ULID()}-1".lower()


@pytest.fixture
def monitor(name: str) -> Iterator[subprocess.Popen[str]]:
    """A tree as of a restore: a conmon, its runtime, and what that has begun and nobody names."""
    argv = ["conmon", "-c", MONITOR, name]
    with subprocess.Popen(argv, executable="/bin/bash", stdout=subprocess.PIPE, text=True) as root:
        yield root
        root.kill()


async def test_what_a_runtime_has_begun_ends_with_it(
    name: str, monitor: subprocess.Popen[str]
) -> None:
    assert monitor.stdout is not None
    unnamed = os.pidfd_open(int(monitor.stdout.readline()))
    named = os.pidfd_open(monitor.pid)
    try:
        await end_naming("another", PROGRAMS)
        assert not is_over(named) and not is_over(unnamed)
        await end_naming(name, PROGRAMS)
        assert is_over(named) and is_over(unnamed)
    finally:
        for fd in (named, unnamed):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.close(fd)
