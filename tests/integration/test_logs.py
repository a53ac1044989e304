"""Logs over the bus: whole, in order, from any place, over runs, rotation and the agent's death."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from tests.integration.bounds import bounded
from tests.integration.fifos import shell
from tests.integration.world import Site, World, open_site, restart
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_client.session import Session
from wharfside_protocol.errors import Invalid, NotFound
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.io_frames import Chunk, Exit, Lost, Position, StreamName
from wharfside_protocol.specs import ProcessSpec, Restart
from wharfside_protocol.times import from_timestamp, to_timestamp

SMALL = "\n[logs]\nmax_bytes = 65536\nmax_files = 3\n"

PRINTS = shell("while read n </cue/go; do seq $n; echo done >/cue/ready; done")
"""Prints as many lines as it is told to."""


@pytest.fixture(scope="module")
def agent(world: World) -> Iterator[AgentProcess]:
    """With logs that are rotated soon."""
    with world.running("n1", SMALL) as agent:
        yield agent


@pytest.fixture
async def killable(world: World, own_agent: AgentProcess) -> AsyncIterator[Site]:
    own_agent.write_config(SMALL)
    own_agent.start(until="bus-connected")
    async with open_site(world, own_agent) as site:
        yield site
        await site.clear()
    assert own_agent.stop() == 0


@dataclass
class Got:
    """What a session gave."""

    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    lost: int = 0
    exits: list[tuple[int, ExitStatus]] = field(default_factory=list)
    position: Position | None = None

    async def take(self, session: Session, until: bytes | None = None) -> Got:
        """To its end, or until stdout ends so."""
        async for item in session:
            self.position = session.position
            match item:
                case Chunk(stream=StreamName.STDERR):
                    self.err += item.data
                case Chunk():
                    self.out += item.data
                case Lost():
                    self.lost += item.count
                case Exit():
                    self.exits.append((item.run, item.exit))
            if until is not None and self.out.endswith(until):
                break
        return self


async def logs(site: Site, name: str, **wish: Any) -> Got:
    async with site.node.logs(name, **wish) as session:
        return await bounded(Got().take(session), f"the log of {name}")


def numbers(last: int, first: int = 1) -> bytes:
    return b"".join(b"%d\n" % number for number in range(first, last + 1))


async def ended(site: Site, script: str, **others: Any) -> str:
    name = await site.run(shell(script), **others)
    await site.told.exit(name)
    return name


async def test_an_ended_one_gives_both_streams_and_how_it_ended(site: Site) -> None:
    name = await ended(site, "echo out; echo err >&2; printf 'no \\0 end\\377'; exit 3")
    got = await logs(site, name)
    assert (got.out, got.err) == (b"out\nno \0 end\xff", b"err\n")
    ((run, exit_),) = got.exits
    assert (run, exit_.exit_code) == (1, 3)
    assert (await logs(site, name, stdout=False)).out == b""
    assert (await logs(site, name, stderr=False)).err == b""


async def test_a_running_one_gives_what_is_there_and_then_ends(site: Site) -> None:
    name = await site.run(shell("echo here; sleep 1000"))
    await eventually(partial(_has, site, name, b"here\n"), "it has printed")
    assert (await logs(site, name)).exits == []


async def _has(site: Site, name: str, text: bytes) -> bool:
    return (await logs(site, name)).out == text


async def _ends(site: Site, name: str, text: bytes) -> bool:
    return (await logs(site, name)).out.endswith(text)


async def test_tail_since_and_until(site: Site) -> None:
    cues = site.cues()
    script = 'for n in 1 21 31; do read last </cue/go; echo "$(seq $n $last)"; done'
    name = await site.run(shell(script), mounts=[cues.mount])
    for last in (20, 30, 40):
        cues.go(str(last))
        await eventually(partial(_has, site, name, numbers(last)), f"{last} is there")
    await site.told.exit(name)
    for count in (0, 1, 25, 100):
        expected = numbers(40, max(41 - count, 1))
        assert (await logs(site, name, tail=count)).out == expected
    times = await _times(site, name)
    assert list(times) == [b"1", b"21", b"31"]
    since, until = times[b"21"], times[b"31"]
    assert (await logs(site, name, since=since)).out == numbers(40, 21)
    assert (await logs(site, name, since=since, tail=3)).out == numbers(40, 38)
    before = to_timestamp(from_timestamp(until) - 1)
    between = await logs(site, name, since=since, until=before)
    assert numbers(30, 21) in between.out and not between.out.endswith(b"40\n")
    for count in (0, 1, 7, 25, 100):
        last = between.out.splitlines(keepends=True)[-count:] if count else []
        assert (await logs(site, name, since=since, until=before, tail=count)).out == b"".join(last)
    assert (await logs(site, name, until=before, tail=1)).out == between.out.splitlines()[
        -1
    ] + b"\n"
    assert (await logs(site, name, since="2100-01-01T00:00:00Z")).out == b""


async def _times(site: Site, name: str) -> dict[bytes, str]:
    """The first line of each piece that was written at one time."""
    times: dict[bytes, str] = {}
    async with site.node.logs(name) as session:
        async for item in session:
            if isinstance(item, Chunk):
                assert item.time is not None
                times[item.data.split(b"\n")[0]] = item.time
    return times


async def test_chunks_without_times_are_fewer(site: Site) -> None:
    cues, counts = site.cues(), []
    script = "for n in 1 2 3; do echo $n; read _ </cue/go; done"
    name = await site.run(shell(script), mounts=[cues.mount])
    for last in (1, 2, 3):  # conmon may be late, and what it reads at once has one time
        await eventually(partial(_has, site, name, numbers(last)), f"{last} is there")
        cues.go()
    await site.told.exit(name)
    for times in (True, False):
        async with site.node.logs(name, times=times) as session:
            counts.append(len([item async for item in session if isinstance(item, Chunk)]))
    assert counts == [3, 1]


async def test_one_that_is_removed_at_its_end_is_followed_to_it(site: Site) -> None:
    name = site.name()
    await site.node.create(site.spec(name, shell("seq 3000; exit 2"), auto_remove=True))
    got = Got()
    async with site.node.logs(name, follow=True) as session:
        await site.node.start(name)
        await bounded(got.take(session), "the end of the log")
    assert (bytes(got.out), got.lost) == (numbers(3000), 0)
    assert [exit_.exit_code for _, exit_ in got.exits] == [2]


async def test_an_exec_has_its_own_log_also_when_it_is_over(site: Site) -> None:
    name = await site.run()
    script = ProcessSpec(args=list(shell("echo of the exec; exit 4")))
    await site.node.exec(name, script, id="e1")
    got = await logs(site, name, process="e1", follow=True)
    assert (bytes(got.out), got.exits[0][1].exit_code) == (b"of the exec\n", 4)
    assert (await logs(site, name)).out == b""


async def test_a_follower_sees_every_line_through_rotation_and_a_late_reader_what_is_lost(
    site: Site,
) -> None:
    cues = site.cues()
    name = await site.run(PRINTS, mounts=[cues.mount])
    got = Got()
    async with site.node.logs(name, follow=True) as session:
        following = asyncio.ensure_future(got.take(session))
        for _round in range(6):
            cues.go("2000")
            await cues.ready()
            await eventually(lambda: got.out.endswith(b"\n2000\n"), "all of it is there")
            del got.out[:-1]
        await site.node.delete(name, force=True)
        await bounded(following, "the end of the log")
    assert (got.lost, [run for run, _ in got.exits]) == (0, [1])


async def test_what_was_rotated_away_is_told(site: Site) -> None:
    cues = site.cues()
    name = await site.run(PRINTS, mounts=[cues.mount])
    rounds = 0
    while rounds < 50:
        rounds += 1
        cues.go("2000")
        await cues.ready()
        await eventually(partial(_ends, site, name, b"1999\n2000\n"), "all of it is there")
        if (await logs(site, name)).lost:
            break
    got = await logs(site, name)
    assert got.out.endswith(b"1999\n2000\n")
    assert got.lost > 0 and len(got.out.split()) < rounds * 2000
    waited = await site.node.stop(name, grace_s=0)
    assert waited.exit is not None
    waited = await site.node.wait(name, output=True)
    assert waited.output is not None and waited.output.stdout_truncated


async def test_a_follower_goes_on_over_the_agents_death(killable: Site) -> None:
    """Killed while its container prints: no line is missing, and none comes twice."""
    cues = killable.cues()
    script = "seq 3000; echo >/cue/ready; read n </cue/go; seq 3001 6000; exit 5"
    name = await killable.run(shell(script), mounts=[cues.mount])
    got = Got()
    async with killable.node.logs(name, follow=True) as session:
        following = asyncio.ensure_future(got.take(session))
        await cues.ready()
        await eventually(lambda: got.out.endswith(b"\n3000\n"), "the first half is there")
        dying = asyncio.ensure_future(restart(killable.agent))
        cues.go()
        await dying
        await bounded(following, "the end of the log")
    assert (bytes(got.out), got.lost) == (numbers(6000), 0)
    assert got.exits[0][1].exit_code == 5


async def test_what_ended_in_a_former_life_of_the_agent_is_followed_to_its_end(
    killable: Site,
) -> None:
    name = await killable.run(shell("echo last words; exit 6"))
    await killable.told.exit(name)
    await restart(killable.agent)
    got = Got()
    async with killable.node.logs(name, follow=True) as session:
        await bounded(got.take(session), "the end of the log")
    assert (got.out, got.exits[0][1].exit_code) == (b"last words\n", 6)


async def test_runs_follow_one_another_until_the_policy_rests(site: Site) -> None:
    cues = site.cues()
    script = "read code </cue/go; echo run $code; exit $code"
    name = await site.run(shell(script), mounts=[cues.mount], restart=Restart(policy="on-failure"))
    got = Got()
    async with site.node.logs(name, follow=True) as session:
        following = asyncio.ensure_future(got.take(session))
        for code in ("3", "2", "0"):
            cues.go(code)
        await bounded(following, "the end of the log")
    assert got.out == b"run 3\nrun 2\nrun 0\n"
    assert [(run, exit_.exit_code) for run, exit_ in got.exits] == [(3, 0)]
    assert (await logs(site, name)).out == got.out
    assert (await logs(site, name, tail=2)).out == b"run 2\nrun 0\n"
    second = await logs(site, name, run=2, follow=True)
    assert (second.out, [run for run, _ in second.exits]) == (b"run 2\n", [2])


async def test_a_slow_reader_has_all_runs_of_what_is_deleted_meanwhile(site: Site) -> None:
    name = await ended(site, "seq 3000; exit 4")
    await site.node.start(name)
    await site.told.exit(name, nth=2)
    async with site.node.logs(name, window=4096) as session:
        await bounded(anext(session), "the first output")
        await site.node.delete(name)
        got = await bounded(Got().take(session), "the rest of the logs")
    assert got.out.endswith(b"\n3000\n" + numbers(3000)) and got.lost == 0
    assert [(run, exit_.exit_code) for run, exit_ in got.exits] == [(2, 4)]


async def test_who_follows_until_a_time_is_not_kept_longer(site: Site) -> None:
    name = await site.run(shell("echo here; sleep 1000"))
    await eventually(partial(_has, site, name, b"here\n"), "it has printed")
    for until in (time.time_ns() - 10**9, time.time_ns() + 10**9):
        got = await logs(site, name, follow=True, until=to_timestamp(until))
        assert got.exits == []
    assert got.out == b"here\n"


async def test_a_follower_that_leaves_between_two_runs_disturbs_no_other(site: Site) -> None:
    """Both wait for the next run when one of them goes."""
    cues = site.cues()
    script = "echo a run; read code </cue/go; exit $code"
    policy = Restart(policy="on-failure")
    name = await site.run(shell(script), mounts=[cues.mount], restart=policy)
    got = Got()
    async with site.node.logs(name, follow=True) as stays:
        staying = asyncio.ensure_future(got.take(stays))
        async with site.node.logs(name, follow=True) as leaves:
            await bounded(Got().take(leaves, until=b"a run\n"), "the first run")
            for attempt in range(1, 4):
                cues.go("1")
                await site.told.event(name, "restarting", nth=attempt)
        cues.go("0")
        await bounded(staying, "the end of the log")
    assert got.out == b"a run\n" * 4
    await bounded(site.node.ping(), "an answer of the node")


async def test_a_reader_goes_on_at_a_position_of_another_session(site: Site) -> None:
    name = await ended(site, f"seq {(count := 5000)}")
    whole, got = numbers(count), Got()
    first = True
    while not got.exits:
        wish = {} if first else {"position": got.position}
        async with site.node.logs(name, window=4096, times=False, **wish) as session:
            async for item in session:
                if isinstance(item, Chunk):
                    got.out += item.data
                    got.position = session.position
                    break
                if isinstance(item, Exit):
                    got.exits.append((item.run, item.exit))
        first = False
    assert bytes(got.out) == whole


async def test_what_is_not_there_is_refused(site: Site) -> None:
    name = await ended(site, "echo x")
    for error, wish in (
        (NotFound, {"process": "e9"}),
        (NotFound, {"run": 7}),
        (Invalid, {"position": Position(run=1, offset=10_000)}),
        (Invalid, {"position": Position(run=2, offset=0)}),
        (NotFound, {"incarnation": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}),
    ):
        with pytest.raises(error):
            await logs(site, name, **wish)
    await site.node.delete(name)
    with pytest.raises(NotFound):
        await logs(site, name)
