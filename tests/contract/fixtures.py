"""The fixtures of the contract suite; tests/cgroup2 takes the same."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.worlds import World, real_world
from tests.support.leaks import LeakGate
from tests.support.requirements import need
from tests.support.rootfs import build_rootfs

from wharfside_agent.core.placement import Places
from wharfside_agent.runtime.delegation import settle_in
from wharfside_agent.runtime.fake import FakeRuntime
from wharfside_agent.runtime.probe import Found, Probed, probe
from wharfside_agent.watchers.mounts import read_cgroup_mounts
from wharfside_agent.watchers.subreaper import become_subreaper

_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(scope="session")
def machine_rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("busybox-static")
    rootfs = build_rootfs(tmp_path_factory.mktemp("roots") / "busybox")
    for name, mode in (("not-executable", 0o644), ("not-a-program", 0o755)):
        (rootfs / "bin" / name).write_text("no program\n")
        (rootfs / "bin" / name).chmod(mode)
    return rootfs


@pytest.fixture(scope="session")
def machine_probed(tmp_path_factory: pytest.TempPathFactory) -> Probed:
    for name in ("root", "conmon", "crun"):
        need(name)
    folder = tmp_path_factory.mktemp("probe")
    return asyncio.run(probe(Places(folder / "run", folder / "state")))


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[LeakGate]:
    """Set up before the event loop and closed after it: nothing may be left of a test."""
    gate = LeakGate(tmp_path)
    yield gate
    leaks = gate.close()
    assert not leaks, "\n".join(leaks.lines())


@pytest.fixture
def subreaper() -> Iterator[None]:
    """This process is the agent's: orphans of its containers become its children."""
    become_subreaper()
    yield
    _set_subreaper(0)


@contextmanager
def no_subreaper() -> Iterator[None]:
    """As after a restart of the agent: orphans go to pid 1."""
    _set_subreaper(0)
    yield
    _set_subreaper(1)


def _set_subreaper(on: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, on, 0, 0, 0)


def make_real_world(
    name: str, tmp_path: Path, gate: LeakGate, probed: Probed, rootfs: Path
) -> World:
    need(name)
    places = Places(tmp_path / "run", tmp_path / "state")
    mounts = read_cgroup_mounts()
    settle_in(mounts, gate.cgroup)
    return real_world(name, places, mounts, gate.cgroup, _rooted(probed, places), rootfs)


def _rooted(probed: Probed, places: Places) -> Probed:
    """The machine is probed once, but each test has its own folder of runtime state."""

    def rooted(found: Found) -> Found:
        root = places.runtime_roots / found.info.name
        return replace(found, binary=replace(found.binary, root=root))

    return replace(probed, usable=[rooted(found) for found in probed.usable])


def _made(request: pytest.FixtureRequest) -> World:
    """Before there is an event loop: the probe of the session has its own."""
    if request.param == "fake":
        return World("fake", FakeRuntime(), Path("/"))
    request.getfixturevalue("subreaper")
    return make_real_world(
        request.param,
        request.getfixturevalue("tmp_path"),
        request.getfixturevalue("gate"),
        request.getfixturevalue("machine_probed"),
        request.getfixturevalue("machine_rootfs"),
    )


@pytest.fixture(params=["fake", "crun", "runc"])
def every_made(request: pytest.FixtureRequest, gate: LeakGate) -> World:
    return _made(request)


@pytest.fixture(params=["crun", "runc"])
def real_made(request: pytest.FixtureRequest, gate: LeakGate) -> World:
    return _made(request)


@pytest.fixture(params=["crun"])
def crun_made(request: pytest.FixtureRequest, gate: LeakGate) -> World:
    return _made(request)


@pytest.fixture
async def world(every_made: World) -> AsyncIterator[World]:
    """Every runtime that the contract holds for."""
    yield every_made
    await every_made.clean()


@pytest.fixture
async def real(real_made: World) -> AsyncIterator[World]:
    """The runtimes that have a kernel under them."""
    yield real_made
    await real_made.clean()


@pytest.fixture
async def crun(crun_made: World) -> AsyncIterator[World]:
    """The default runtime, where the outcome is conmon's or the kernel's alone."""
    yield crun_made
    await crun_made.clean()
