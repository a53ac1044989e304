"""The shared inotify is closed while the loop goes on."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from asyncinotify import Event, Inotify, Mask
from tests.support.eventually import eventually

from wharfside_agent.watchers import inotify
from wharfside_agent.watchers.inotify import LoopInotify

BOUND_S = 20.0


def unheard(event: Event) -> None:
    raise AssertionError(f"nobody waits for {event}")


async def test_the_loop_goes_on_while_the_kernel_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    went_on, seen = threading.Event(), threading.Event()

    class Slow(Inotify):
        """As one with marks that others look at."""

        def close(self) -> None:
            if went_on.wait(BOUND_S):
                seen.set()
            super().close()

    monkeypatch.setattr(inotify, "Inotify", Slow)
    shared = LoopInotify(unheard)
    shared.open()
    shared.close()
    asyncio.get_running_loop().call_soon(went_on.set)
    await eventually(seen.is_set, "the loop goes on before it is closed")


async def test_it_is_open_again_at_once_and_closed_in_the_end(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    heard = asyncio.Event()
    shared = LoopInotify(lambda _: heard.set())
    shared.open().add_watch(tmp_path / "log", Mask.MODIFY)
    numbers = {shared.open().fd}
    shared.close()
    assert shared.opened is None
    shared.open().add_watch(tmp_path / "log", Mask.MODIFY)
    numbers.add(shared.open().fd)
    assert numbers & open_inotifies()
    (tmp_path / "log").write_text("more")
    async with asyncio.timeout(BOUND_S):
        await heard.wait()
    shared.close()
    await eventually(lambda: not numbers & open_inotifies(), "both are closed")


def open_inotifies() -> set[int]:
    return {int(fd.name) for fd in Path("/proc/self/fd").iterdir() if is_inotify(fd)}


def is_inotify(fd: Path) -> bool:
    try:
        return "inotify" in str(fd.readlink())
    except FileNotFoundError:
        return False  # of the listing itself
