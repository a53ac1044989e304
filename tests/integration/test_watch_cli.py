"""`ps --watch` as an operator types it, and as a script reads it."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

from tests.integration.bounds import bounded
from tests.integration.cli_kit import start
from tests.integration.fifos import shell
from tests.integration.world import Site


async def lines_until(process: asyncio.subprocess.Process, last: str) -> list[str]:
    """Its lines up to the first that has `last` in it."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or last not in lines[-1]:
        line = await bounded(process.stdout.readline(), f"{last} after {lines}")
        assert line, f"it ended after {lines}"
        lines.append(line.decode().rstrip())
    return lines


async def ended(process: asyncio.subprocess.Process) -> str:
    """What it says on stderr, once it is interrupted."""
    process.send_signal(signal.SIGINT)
    _, err = await bounded(process.communicate(), "the end")
    assert process.returncode == 130
    return err.decode()


async def test_what_there_is_and_then_a_line_for_each_change(site: Site) -> None:
    running, over, new = await site.run(), await site.run(shell("exit 3")), site.name("new")
    await site.told.exit(over)
    process = await start(site.world.server.url, "ps", "-w")
    table = await lines_until(process, f"n1/{running}")
    assert table[0].split() == ["CONTAINER", "STATE", "EXIT", "AGE", "PID"]
    assert not [line for line in table if over in line], "those that have ended with -a alone"
    await site.node.run(site.spec(new, shell("exit 4")))
    await site.node.wait(new)
    await site.node.delete(new)
    told = [line.split() for line in await lines_until(process, "deleted") if f"n1/{new}" in line]
    assert [words[1:3] for words in told] == [
        ["created", "-"],
        ["running", "-"],
        ["stopped", "4"],
        ["deleted", "4"],
    ]
    assert await ended(process) == ""


async def test_one_object_a_line_for_scripts(site: Site) -> None:
    ours, other = site.name(), site.name()
    process = await start(site.world.server.url, "ps", "-w", "--json", "-l", "team=a", "n1")
    (first,) = await lines_until(process, "state")
    state: dict[str, Any] = json.loads(first)
    assert (state["type"], state["containers"]) == ("state", [])
    assert [node["info"]["node"] for node in state["nodes"]] == ["n1"]
    await site.run(name=other)
    await site.run(name=ours, labels={"team": "a"})
    await site.node.delete(ours, force=True)
    told = [json.loads(line) for line in await lines_until(process, "container-gone")]
    # what a node says of itself may change at any time
    changes = [change for change in told if change["type"].startswith("container-")]
    assert {change.get("new", change["old"])["container"] for change in changes} == {ours}
    words = [(each["event"], each.get("new", {}).get("state")) for each in changes if each["event"]]
    assert words == [
        ("created", "created"),
        ("started", "running"),
        ("exited", "stopped"),
        ("deleted", None),
    ]
    assert changes[0]["seq"] > state["seq"]
    assert changes[-1]["old"]["exit"]["exit_code"] == 137
    await ended(process)
