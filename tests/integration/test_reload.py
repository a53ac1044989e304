"""SIGHUP and `wharfside-agent reload`: taken over while everything runs, or refused whole."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.integration.bus_kit import replace
from tests.integration.world import Site, start, stop
from tests.support.agent import AgentProcess


async def reload(agent: AgentProcess, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wharfside_agent", "reload", "--config", str(agent.config)]
    return await asyncio.to_thread(
        subprocess.run, [*command, *flags], capture_output=True, text=True, timeout=30, check=False
    )


def change(agent: AgentProcess, was: str, becomes: str) -> None:
    text = agent.config.read_text()
    assert was in text
    replace(agent.config, text.replace(was, becomes))


async def test_what_is_live_is_taken_over(own: Site) -> None:
    """No container notices, and no connection is lost."""
    await start(own.agent)
    name = await own.run()
    change(own.agent, '"test"', '"other"')
    change(
        own.agent, 'format = "json"', 'format = "json"\nlevel = "error"\n[outbox]\nmax_events = 99'
    )
    done = await reload(own.agent)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "reloaded: log.level, node.labels\nneeds a restart of the agent: outbox.max_events\n"
    )
    info = await own.node.info()
    assert info.labels == {"zone": "other"}
    assert info.bus.reconnects == 0
    again = await reload(own.agent, "--json")
    assert json.loads(again.stdout) == {"changed": [], "restart": ["outbox.max_events"]}
    own.agent.drain()
    assert '"reloaded"' not in own.agent.log.read_text()  # an info: too low now
    change(own.agent, 'level = "error"', 'level = "info"')
    os.kill(own.agent.pid, signal.SIGHUP)
    line = await asyncio.to_thread(own.agent.wait_for_log, "reloaded")
    assert line["changed"] == ["log.level"]
    assert [view.container for view in await own.node.list()] == [name]
    await own.clear()
    assert await stop(own.agent) == 0


async def test_another_way_to_the_bus(own: Site) -> None:
    """A second connection takes the place of the first; a command goes on over it."""
    await start(own.agent)
    name, cues = await own.run_with_cues()
    waits = asyncio.create_task(own.node.wait(name))
    await own.node.ping()
    change(own.agent, "servers = ", "ping_interval_s = 20.0\nservers = ")
    done = await reload(own.agent)
    assert done.stdout == "reloaded: nats.ping_interval_s\n"
    await asyncio.to_thread(own.agent.wait_for_log, "bus-renewed")
    cues.go("3")
    assert (await waits).exit.exit_code == 3  # type: ignore[union-attr]
    assert (await own.node.info()).bus.reconnects == 1
    await own.clear()
    assert await stop(own.agent) == 0


async def test_a_broken_configuration_changes_nothing(own: Site, tmp_path: Path) -> None:
    await start(own.agent)
    good = own.agent.config.read_text()
    for wrong, told in (
        (good.replace("[log]", "[lag]"), "lag"),
        (good.replace("[nats]", f'[nats]\ncreds = "{tmp_path}/none.creds"'), "none.creds"),
        ("[node", "not TOML"),
    ):
        replace(own.agent.config, wrong.replace('"test"', '"other"'))
        done = await reload(own.agent)
        assert done.returncode == 1
        assert told in done.stderr
        own.agent.drain()
        os.kill(own.agent.pid, signal.SIGHUP)
        line = await asyncio.to_thread(own.agent.wait_for_log, "reload-refused")
        assert told in str(line["error"])
    assert (await own.node.info()).labels == {"zone": "test"}
    assert await stop(own.agent) == 0


async def test_nobody_there_to_reload(own: Site) -> None:
    done = await reload(own.agent)
    assert done.returncode == 1
    assert "no agent works on" in done.stderr


async def test_a_manager_is_told_when_it_is_done(own: Site) -> None:
    """sd_notify(3): RELOADING=1 with the time, READY=1 when the new settings hold."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = str(own.agent.folder / "notify")
        manager.bind(address)
        manager.settimeout(20)
        await start(own.agent, NOTIFY_SOCKET=address)

        def told() -> bytes:
            while (message := manager.recv(4096)).startswith(b"WATCHDOG"):
                continue
            return message

        assert await asyncio.to_thread(told) == b"READY=1"
        os.kill(own.agent.pid, signal.SIGHUP)
        assert (await asyncio.to_thread(told)).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert await asyncio.to_thread(told) == b"READY=1"
        assert await stop(own.agent) == 0
