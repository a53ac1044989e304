"""Somebody removed the agent's files: it starts, tells what it cannot know, and tidies up."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.processes import nothing_left, over
from tests.integration.world import Site, command, kill, start
from tests.support.agent import AgentProcess

LOST = ("", "monitors", "monitors/init", "monitors/init/persist", "config.json")
"""Below the run's folder; nothing is the folder itself."""


async def test_of_runs(site: Site, agent: AgentProcess) -> None:
    broken = {lost: await site.run() for lost in LOST}
    whole = await site.run()
    details = {lost: await site.node.inspect(name) for lost, name in broken.items()}
    await kill(agent)
    for lost, view in details.items():
        _remove(Path(view.bundle) / lost)
    await start(agent)
    # Their trouble is no other's.
    done = await site.node.exec(whole, command("exit 3"))
    assert done.exit is not None
    assert done.exit.exit_code == 3
    for lost, name in broken.items():
        await site.node.delete(name, force=True)
        exited = await site.told.event(name, "exited", process="init")
        assert exited.data["status_known"] or exited.data["exit_code"] is None, lost
        await site.told.event(name, "deleted")
        pid = details[lost].pid
        assert pid is not None
        await over(pid)
        await nothing_left(site, details[lost].incarnation)
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
