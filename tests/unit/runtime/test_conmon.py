"""A launch that ends before its conmon was let go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest
from tests.support.machine import descriptors

from wharfside_agent.runtime.argv import MonitorDir
from wharfside_agent.runtime.conmon import launch

WAITS = ["sleep", "60"]
"""As conmon does for a byte on its start pipe."""


async def refuses(_pid: int) -> None:
    raise OSError("no such cgroup")


async def never(_pid: int) -> None:
    await asyncio.Event().wait()


async def test_one_that_cannot_be_put_into_its_cgroup_is_ended(tmp_path: Path) -> None:
    before, children = descriptors(), psutil.Process().children()
    with pytest.raises(OSError, match="no such cgroup"):
        await launch(WAITS, MonitorDir(tmp_path), "create", refuses)
    assert psutil.Process().children() == children and descriptors() == before


async def test_one_whose_launch_is_canceled_before_is_ended(tmp_path: Path) -> None:
    before, children = descriptors(), psutil.Process().children()
    launching = asyncio.create_task(launch(WAITS, MonitorDir(tmp_path), "create", never))
    await asyncio.sleep(0)
    [waiting] = set(psutil.Process().children()) - set(children)
    launching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await launching
    assert not waiting.is_running() and descriptors() == before
