"""Short work on files: the loop's while the disk is quick, a thread's while it is not."""

from __future__ import annotations

import threading
import time

import pytest

from wharfside_agent import disk_pace
from wharfside_agent.disk_pace import SLOW_S, DiskPace


async def test_the_loop_does_it_while_that_is_quick() -> None:
    assert await DiskPace().do(threading.get_ident) == threading.get_ident()


async def test_who_has_waited_leaves_the_next_to_a_thread() -> None:
    pace = DiskPace()
    await pace.do(lambda: time.sleep(2 * SLOW_S))
    assert not pace.quick
    assert await pace.do(threading.get_ident) != threading.get_ident()


async def test_the_loop_tries_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_pace, "LONGEST_S", 0.0)
    pace = DiskPace()
    await pace.do(lambda: time.sleep(2 * SLOW_S))
    assert await pace.do(threading.get_ident) == threading.get_ident()


async def test_work_that_only_computes_long_says_nothing_about_the_disk() -> None:
    """Nor does one that had to leave its CPU to others: neither goes to sleep by itself."""
    pace = DiskPace()
    with pace.watched():
        _compute()
    assert pace.quick


async def test_what_it_raises_goes_through_and_counts() -> None:
    pace = DiskPace()

    def fails() -> None:
        time.sleep(2 * SLOW_S)
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        await pace.do(fails)
    assert not pace.quick


def _compute() -> None:
    end = time.monotonic() + 2 * SLOW_S
    while time.monotonic() < end:
        pass
