"""The fixtures of the contract suite; tests/cgroup2 takes the same."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.contract.worlds import World, real_world
from tests.support.eventually import wait_until
from tests.support.leaks import LeakGate
from tests.support.requirements import need
from tests.support.rootfs import build_rootfs

from wharfside_agent.core.placement import Places
from wharfside_agent.runtime.delegation import settle_in
from wharfside_agent.runtime.fake import FakeRuntime
from wharfside_agent.runtime.probe import Found, Probed, probe
from wharfside_agent.runtime.sealed import SealedPrograms
from wharfside_agent.watchers.mounts import read_cgroup_mounts
from wharfside_agent.watchers.subreaper import Sweeper, become_subreaper

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
def machine_probed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probed]:
    for name in ("root", "conmon", "crun"):
        need(name)
    folder = tmp_path_factory.mktemp("probe")
    places = Places(folder / "run", folder / "state")
    with closing(SealedPrograms(places.programs)) as sealing:
        yield asyncio.run(probe(places, sealing))


@pytest.fixture
def subreaper() -> Iterator[None]:
    """This process is the agent's: orphans of its containers become its children."""
    before = set(psutil.Process().children())
    become_subreaper()
    yield
    sweeper = Sweeper()

    def alone() -> bool:
        sweeper.sweep()
        return not set(psutil.Process().children()) - before

    wait_until(alone, "what was orphaned is dead and reaped")
    _set_subreaper(0)


@contextmanager
def no_subreaper() -> Iterator[None]:
    """As after a restart of the agent: orphans go to pid 1."""
    _set_subreaper(0)
    yield
    _set_subreaper(1)


def _set_subreaper(on: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, on, 0, 0, 0)


@pytest.fixture
def own_cgroup(leak_gate: LeakGate) -> Iterator[None]:
    """As the agent does: into a leaf of its own in v2; and back, so that it can be removed."""
    mounts = read_cgroup_mounts()
    before = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2]
    settle_in(mounts, leak_gate.cgroup)
    yield
    if mounts.version == "v2" and mounts.unified:
        (mounts.unified / before.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))


def make_real_world(
    name: str, tmp_path: Path, leak_gate: LeakGate, probed: Probed, rootfs: Path
) -> World:
    need(name)
    places = Places(tmp_path / "run", tmp_path / "state")
    cgroup, mounts = leak_gate.cgroup, read_cgroup_mounts()
    return real_world(name, places, mounts, cgroup, _rooted(probed, places), rootfs)


def _rooted(probed: Probed, places: Places) -> Probed:
    """The machine is probed once, but each test has its own folder of runtime state."""

    def rooted(found: Found) -> Found:
        root = places.runtime_roots / found.info.name
        return replace(found, binary=replace(found.binary, root=root))

    return replace(probed, usable=[rooted(found) for found in probed.usable])


def make_world(request: pytest.FixtureRequest, name: str) -> World:
    """Before there is an event loop: the probe of the session has its own. And what outlives the
    test comes before the gate, which is asked for here, and first by nobody else."""
    if name == "fake":
        request.getfixturevalue("leak_gate")
        return World("fake", FakeRuntime(), Path("/"))
    probed = request.getfixturevalue("machine_probed")
    gate = request.getfixturevalue("leak_gate")
    request.getfixturevalue("own_cgroup")
    request.getfixturevalue("subreaper")
    rootfs = request.getfixturevalue("machine_rootfs")
    return make_real_world(name, request.getfixturevalue("tmp_path"), gate, probed, rootfs)


@pytest.fixture(params=["fake", "crun", "runc"])
def every_made(request: pytest.FixtureRequest) -> World:
    return make_world(request, request.param)


@pytest.fixture(params=["crun", "runc"])
def real_made(request: pytest.FixtureRequest) -> World:
    return make_world(request, request.param)


@pytest.fixture(params=["crun"])
def crun_made(request: pytest.FixtureRequest) -> World:
    return make_world(request, request.param)


@pytest.fixture(params=["runc"])
def runc_made(request: pytest.FixtureRequest) -> World:
    return make_world(request, request.param)


@asynccontextmanager
async def lived_in(made: World) -> AsyncIterator[None]:
    """With the agent's sweeper at work; all that a test has kept is deleted at its end."""
    sweeping = asyncio.ensure_future(Sweeper().run())
    yield
    await made.clean()
    sweeping.cancel()


@pytest.fixture
async def world(every_made: World) -> AsyncIterator[World]:
    """Every runtime that the contract holds for."""
    async with lived_in(every_made):
        yield every_made


@pytest.fixture
async def real(real_made: World) -> AsyncIterator[World]:
    """The runtimes that have a kernel under them."""
    async with lived_in(real_made):
        yield real_made


@pytest.fixture
async def crun(crun_made: World) -> AsyncIterator[World]:
    """The default runtime, where the outcome is conmon's or the kernel's alone."""
    async with lived_in(crun_made):
        yield crun_made


@pytest.fixture
async def runc(runc_made: World) -> AsyncIterator[World]:
    """The runtime that can checkpoint."""
    async with lived_in(runc_made):
        yield runc_made
