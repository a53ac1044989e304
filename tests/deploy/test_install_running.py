"""`deploy/install` on a machine with systemd, under containers that run: first to last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.deploy.units import DEPLOY, UnitNode
from tests.deploy.wheels import as_version, own_wheel, wheelhouse

from wharfside_client import Node, Wharfside, connect

pytestmark = pytest.mark.soak
RUNC = 'sed -i \'s/^default = "crun"/default = "runc"/\' /etc/wharfside/config.toml'


async def install(node: UnitNode, *arguments: str | Path) -> str:
    words = [str(word) for word in arguments]
    return await asyncio.to_thread(
        node.systemd.run, "env", "PIP_NO_COMPILE=1", str(DEPLOY / "install"), *words
    )


async def its_version(node: Node) -> str:
    return (await node.info(unreachable_s=60)).version


@asynccontextmanager
async def installed(node: UnitNode, wheel: Path) -> AsyncIterator[Wharfside]:
    """The agent of `wheel`, as the script installs it, up and in a fleet."""
    await install(node, "--wheels", wheelhouse(), "--wheel", wheel, "--server", node.server)
    node.systemd.run("sh", "-c", RUNC)
    async with connect(node.server) as fleet:
        await fleet.setup.bootstrap()
        await asyncio.to_thread(node.start)
        yield fleet


async def test_upgrades_and_ways_back_under_a_container(
    bare_node: UnitNode, tmp_path: Path
) -> None:
    """One story, because a version takes seconds to make."""
    wheels, first = ("--wheels", wheelhouse()), own_wheel(tmp_path)
    async with installed(bare_node, first) as fleet:
        node = fleet.node(bare_node.name)
        pid = (await node.run(bare_node.spec("c1", "sleep 10000"), unreachable_s=60)).pid
        assert pid is not None
        born = bare_node.birth(pid)

        said = await install(bare_node, *wheels, "--wheel", as_version(first, "9.0.0"), "--upgrade")
        assert "1 containers run on" in said
        assert await its_version(node) == "9.0.0"

        # it reads the configuration, and fails only when it is run
        broken = as_version(first, "9.9.9", breaks="wharfside_agent/app.py")
        with pytest.raises(AssertionError, match=r"back to 9\.0\.0"):
            await install(bare_node, *wheels, "--wheel", broken, "--upgrade")
        assert await its_version(node) == "9.0.0"

        with pytest.raises(AssertionError, match="1 containers run here"):
            await install(bare_node, "--uninstall")

        [view] = await node.list(unreachable_s=60)
        assert (view.container, view.pid, view.run) == ("c1", pid, 1)
        assert bare_node.birth(pid) == born
        await node.delete("c1", force=True)

    await install(bare_node, "--uninstall", "--purge")
    left = bare_node.systemd.run("sh", "-c", "ls -d /opt/wharfside /etc/wharfside; true")
    assert left == ""


async def test_by_force_what_runs_ends_and_nothing_is_left(
    bare_node: UnitNode, tmp_path: Path
) -> None:
    """Also of its writable layer, which is mounted on the machine, not in the agent alone."""
    async with installed(bare_node, own_wheel(tmp_path)) as fleet:
        ran = await fleet.node(bare_node.name).run(
            bare_node.spec("c1", "sleep 10000"), unreachable_s=60
        )
    await install(bare_node, "--uninstall", "--force", "--purge")
    seen = f"ls -d /opt/wharfside /run/wharfside /etc/wharfside /proc/{ran.pid}"
    left = bare_node.systemd.run("sh", "-c", f"{seen}; grep /run/wharfside /proc/mounts; true")
    assert left == ""
