"""Sessions at real processes over what breaks: the agent, killed or stopped, and the peer."""

from __future__ import annotations

import os
import signal

import pytest
from tests.integration.attach_kit import KEPT, ONCE, TTY, attached, rest, seen
from tests.integration.fifos import shell
from tests.integration.world import Site, restart, start, stop
from tests.support.eventually import eventually

from wharfside_client import connect
from wharfside_client.errors import SessionLost

CAT = ("/bin/cat",)


async def test_a_new_life_goes_on_where_input_is_kept(site: Site) -> None:
    name = await site.run(CAT, io=KEPT)
    async with attached(site, name, stdin=True) as session:
        await session.write(b"before\n")
        await seen(session, b"before\n")
        position = session.position
        assert position is not None
        await restart(site.agent)
        with pytest.raises(SessionLost):
            await seen(session, b"never")
    place = {"run": position.run, "offset": position.offset}
    async with attached(site, name, stdin=True, position=place) as session:
        await session.write(b"after\n")
        assert await seen(session, b"after\n") == b"after\n"
    await site.told.event(name, "detached")
    told = [type_ for type_ in site.told.types(name) if "tached" in type_]
    assert told == ["attached", "reattached", "attached", "detached"]


async def test_the_agents_death_is_the_end_of_the_stdin_that_is_used_once(site: Site) -> None:
    name = await site.run(shell("cat; exit 8"), io=ONCE)
    async with attached(site, name, stdin=True) as session:
        await session.write(b"before\n")
        await seen(session, b"before\n")
        await session.drain()
        await restart(site.agent)
        assert (await site.told.exit(name)).exit_code == 8


async def test_a_new_life_has_the_terminal_still(site: Site) -> None:
    name = await site.run(("/bin/sh",), io=TTY)
    async with attached(site, name, stdin=True) as session:
        await session.write(b"A=kept\n")
        await seen(session, b"A=kept\r\n")
        await session.drain()
        await restart(site.agent)
    size = {"rows": 44, "columns": 111}
    async with attached(site, name, stdin=True, size=size) as session:
        await session.write(b"stty size; echo is $A; exit 6\n")
        await seen(session, b"44 111\r\nis kept\r\n")
        assert (await rest(session))[1].exit_code == 6


async def test_an_agent_that_is_stopped_tells_all_when_it_goes_on(site: Site) -> None:
    """conmon waits for it once the attach connection is full, and nothing is lost meanwhile."""
    cues = site.cues()
    script = "read x </cue/go; head -c 1000000 /dev/zero; exit 5"
    name = await site.run(shell(script), io=KEPT, mounts=[cues.mount])
    incarnation = (await site.node.inspect(name)).incarnation.lower()
    log = site.agent.folder / "state" / "logs" / incarnation / "1-init.log"

    def logged() -> bool:
        return log.stat().st_size > 50_000

    async with attached(site, name, stdin=True) as session:
        os.kill(site.agent.pid, signal.SIGSTOP)
        try:
            cues.go()
            await eventually(logged, "output while the agent is stopped")
        finally:
            os.kill(site.agent.pid, signal.SIGCONT)
        output, exit_ = await rest(session)
    assert (len(output), exit_.exit_code) == (1_000_000, 5)
    assert (await site.told.exit(name)).status_known


async def test_a_peer_that_is_gone_gives_the_input_free(own: Site) -> None:
    """Of an agent of its own: one whose sessions end soon would end those of others that are only
    slow."""
    own.agent.write_config("\n[sessions]\nidle_s = 3\n")
    await start(own.agent)
    name = await own.run(CAT, io=KEPT)
    async with connect(own.world.server.url) as fleet:
        lost = fleet.node(own.agent.name).session("attach", {"container": name, "stdin": True})
        await lost.__aenter__()
    await own.told.event(name, "detached")
    async with attached(own, name, stdin=True) as session:
        await session.write(b"mine\n")
        assert await seen(session, b"mine\n") == b"mine\n"
    await own.clear()
    assert await stop(own.agent) == 0
