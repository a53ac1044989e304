"""What all tests share: their options, what they require, and the real parts as fixtures."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.leaks import LeakGate
from tests.support.nats_server import NatsServer
from tests.support.requirements import (
    CRIU_FOLDER,
    PROMETHEUS_FOLDER,
    missing,
    need,
    skip_or_fail,
)
from tests.support.rootfs import build_rootfs

# The tests start hundreds of agents: each would compile its modules anew, which is half of its
# start's CPU time. So bytecode is kept also where the machine's environment says that none is.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long versions of tests, too")


def pytest_configure(config: pytest.Config) -> None:
    for folder in (CRIU_FOLDER, PROMETHEUS_FOLDER):
        if folder.is_dir():
            os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
    config.addinivalue_line(
        "markers", "requires(*names): parts of the machine it cannot do without"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--soak"):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="a long version: runs with --soak"))


def pytest_collection_finish() -> None:
    """What the collection of tests has made stays to the end: a tenth of the CPU time of the unit
    tests went into looking through it for garbage."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    names = [name for mark in item.iter_markers("requires") for name in mark.args]
    if reasons := [reason for name in names if (reason := missing(name))]:
        skip_or_fail("; ".join(reasons))


@pytest.fixture
def leak_gate(tmp_path: Path) -> Iterator[LeakGate]:
    """Fails the test at teardown if it leaves a process, mount, cgroup or descriptor behind.

    Ask for it before the fixtures that start things: what is set up later is torn down earlier.
    """
    gate = LeakGate(tmp_path)
    yield gate
    if leaks := gate.close().lines():
        pytest.fail("the test left behind:\n  " + "\n  ".join(leaks), pytrace=False)


@pytest.fixture
def start_nats_server(leak_gate: LeakGate, tmp_path: Path) -> Iterator[Callable[..., NatsServer]]:
    """Start servers with `config` text of the test's own; all are stopped with the test."""
    need("nats-server")
    with ExitStack() as stack:

        def start(config: str = "", *, name: str = "nats", jetstream: bool = True) -> NatsServer:
            server = NatsServer(tmp_path / name, config=config, jetstream=jetstream)
            return stack.enter_context(server)

        yield start


@pytest.fixture
def nats_server(start_nats_server: Callable[..., NatsServer]) -> NatsServer:
    """A server of the test's own with JetStream and `max_payload` 8 MB, on a free port."""
    return start_nats_server("max_payload: 8MB")


@pytest.fixture(scope="session")
def shared_nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One server for tests that keep to subjects of their own and neither stop nor fill it."""
    need("nats-server")
    with NatsServer(tmp_path_factory.mktemp("shared-nats")) as server:
        yield server


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A busybox root file system of the test's own, writable."""
    need("busybox-static")
    return build_rootfs(tmp_path / "rootfs")
