"""The root that files are copied from and to: what the container's own processes see."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from tests.contract.worlds import SLEEP, World, bounded, end_of, shell
from tests.support.eventually import eventually

from wharfside_agent.ports.runtime import Container
from wharfside_protocol.errors import NotFound


def read(container: Container, path: str) -> str:
    root = container.borrow_root()
    try:
        return Path(f"/proc/self/fd/{root.fd}/{path}").read_text()
    finally:
        root.release()


def runs_sleep(world: World, container: Container) -> bool:
    """Before it begins to, it is the runtime's still, with another root."""
    return world.kernel is not None and world.kernel.command(container.pid) == list(SLEEP)


async def test_it_is_what_init_sees_running_or_paused(real: World) -> None:
    container = await real.run(*SLEEP)
    await eventually(partial(runs_sleep, real, container), "init is the user's program")
    await bounded(container.pause())
    try:
        root = container.borrow_root()
        inside = Path(f"/proc/{container.pid}/root/.").stat()
        assert os.path.samestat(os.fstat(root.fd), inside)
        assert not os.path.samestat(inside, Path("/").stat())
        root.release()
        assert read(container, "proc/1/comm") in ("sh\n", "sleep\n")
    finally:
        await bounded(container.resume())


async def test_created_and_stopped_ones_have_theirs(real: World) -> None:
    container = await real.create(*shell("echo written > /file"))
    assert read(container, "etc/passwd").startswith("root:")
    await bounded(container.start())
    await end_of(container.init)
    assert read(container, "file") == "written\n"


async def test_without_any_files_it_is_not_found(world: World) -> None:
    container = await world.run(*SLEEP)
    await bounded(container.delete())
    with pytest.raises(NotFound):
        container.borrow_root()


async def test_a_delete_asks_it_back_first(real: World) -> None:
    container = await real.create(*SLEEP)
    root = container.borrow_root()
    recalled: list[bool] = []

    def give_back() -> None:
        recalled.append(Path(f"/proc/self/fd/{root.fd}/etc/passwd").exists())
        root.release()

    root.on_recall(give_back)
    await bounded(container.delete())
    assert recalled == [True]
