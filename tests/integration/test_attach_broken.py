"""Sessions at real processes over what breaks: the agent, killed or stopped, and the peer."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.attach_kit import KEPT, ONCE, TTY, attached, rest, seen
from tests.integration.fifos import shell
from tests.integration.world import Site, World, open_site, restart
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_client import connect
from wharfside_client.errors import SessionLost

CAT = ("/bin/cat",)


@pytest.fixture(scope="module")
def brief_agent(world: World) -> Iterator[AgentProcess]:
    """Its sessions end soon without their peers."""
    with world.running("n1", "\n[sessions]\nidle_s = 3\n") as agent:
        yield agent


@pytest.fixture
async def brief(world: World, brief_agent: AgentProcess) -> AsyncIterator[Site]:
    async with open_site(world, brief_agent) as site:
        await site.listed()
        yield site
        await site.clear()
        brief_agent.drain()


async def test_a_new_life_goes_on_where_input_is_kept(brief: Site) -> None:
    name = await brief.run(CAT, io=KEPT)
    async with attached(brief, name, stdin=True) as session:
        await session.write(b"before\n")
        await seen(session, b"before\n")
        position = session.position
        assert position is not None
        await restart(brief.agent)
        with pytest.raises(SessionLost):
            await seen(session, b"never")
    place = {"run": position.run, "offset": position.offset}
    async with attached(brief, name, stdin=True, position=place) as session:
        await session.write(b"after\n")
        assert await seen(session, b"after\n") == b"after\n"
    await brief.told.event(name, "detached")
    told = [type_ for type_ in brief.told.types(name) if "tached" in type_]
    assert told == ["attached", "reattached", "attached", "detached"]


async def test_the_agents_death_is_the_end_of_the_stdin_that_is_used_once(brief: Site) -> None:
    name = await brief.run(shell("cat; exit 8"), io=ONCE)
    async with attached(brief, name, stdin=True) as session:
        await session.write(b"before\n")
        await seen(session, b"before\n")
        await session.drain()
        await restart(brief.agent)
        assert (await brief.told.exit(name)).exit_code == 8


async def test_a_new_life_has_the_terminal_still(brief: Site) -> None:
    name = await brief.run(("/bin/sh",), io=TTY)
    async with attached(brief, name, stdin=True) as session:
        await session.write(b"A=kept\n")
        await seen(session, b"A=kept\r\n")
        await session.drain()
        await restart(brief.agent)
    size = {"rows": 44, "columns": 111}
    async with attached(brief, name, stdin=True, size=size) as session:
        await session.write(b"stty size; echo is $A; exit 6\n")
        await seen(session, b"44 111\r\nis kept\r\n")
        assert (await rest(session))[1].exit_code == 6


async def test_an_agent_that_is_stopped_tells_all_when_it_goes_on(brief: Site) -> None:
    """conmon waits for it once the attach connection is full, and nothing is lost meanwhile."""
    cues = brief.cues()
    script = "read x </cue/go; head -c 1000000 /dev/zero; exit 5"
    name = await brief.run(shell(script), io=KEPT, mounts=[cues.mount])
    incarnation = (await brief.node.inspect(name)).incarnation.lower()
    log = brief.agent.folder / "state" / "logs" / incarnation / "1-init.log"

    def logged() -> bool:
        return log.stat().st_size > 50_000

    async with attached(brief, name, stdin=True) as session:
        os.kill(brief.agent.pid, signal.SIGSTOP)
        try:
            cues.go()
            await eventually(logged, "output while the agent is stopped")
        finally:
            os.kill(brief.agent.pid, signal.SIGCONT)
        output, exit_ = await rest(session)
    assert (len(output), exit_.exit_code) == (1_000_000, 5)
    assert (await brief.told.exit(name)).status_known


async def test_a_peer_that_is_gone_gives_the_input_free(brief: Site) -> None:
    name = await brief.run(CAT, io=KEPT)
    async with connect(brief.world.server.url) as fleet:
        lost = fleet.node("n1").session("attach", {"container": name, "stdin": True})
        await lost.__aenter__()
    await brief.told.event(name, "detached")
    async with attached(brief, name, stdin=True) as session:
        await session.write(b"mine\n")
        assert await seen(session, b"mine\n") == b"mine\n"
