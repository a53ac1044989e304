"""Somebody removed the agent's files: it starts, tells what it cannot know, and tidies up."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chaos.processes import nothing_left, over, pid_of
from tests.integration.world import Site, command, kill, start
from tests.support.agent import AgentProcess


@pytest.mark.parametrize(
    "lost", ["", "monitors", "monitors/init", "config.json", "monitors/init/persist"]
)
async def test_of_a_run(site: Site, agent: AgentProcess, lost: str) -> None:
    name, other = await site.run(), await site.run()
    details = await site.node.inspect(name)
    pid = await pid_of(site, name)
    await kill(agent)
    _remove(Path(details.bundle) / lost)
    await start(agent)
    # One broken container is no other's trouble.
    done = await site.node.exec(other, command("exit 3"))
    assert done.exit is not None
    assert done.exit.exit_code == 3
    await site.node.delete(name, force=True)
    exited = await site.told.event(name, "exited", process="init")
    assert exited.data["status_known"] or exited.data["exit_code"] is None
    await site.told.event(name, "deleted")
    await over(pid)
    nothing_left(site, details.incarnation)
    await site.make(name)


def _remove(path: Path) -> None:
    """What is mounted in it stays mounted: the path is moved away by name only."""
    if path.is_dir():
        for each in path.iterdir():
            if each.is_mount():
                continue
            _remove(each)
        if not any(path.iterdir()):
            path.rmdir()
    else:
        path.unlink()
