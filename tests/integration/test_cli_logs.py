"""`logs`, and `run` in the foreground, of real containers; also over the death of the agent."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial

import pytest
from tests.integration.bounds import bounded
from tests.integration.cli_kit import Ran, cli, start, typed
from tests.integration.world import Site, kill
from tests.integration.world import start as start_agent
from tests.support.eventually import eventually
from tests.support.requirements import requires

from wharfside_protocol.io_frames import Chunk

pytestmark = requires("root", "conmon", "crun", "busybox-static", "nats-server")

# conmon keeps no order of what it finds in both streams at once: each waits for the one before
TALKS = "echo one; read _ </cue/go; echo two >&2; read _ </cue/go; printf three"
LISTENS = "while read word </cue/go; do echo $word; [ $word != end ] || exit 5; done"


@pytest.fixture
async def talked(site: Site) -> str:
    """A container that has said `one`, `two` on stderr, and `three` without a newline."""
    name, cues = await site.run_with_cues(("sh", "-c", TALKS))
    for line in (b"one", b"two"):
        await eventually(partial(has, site, name, line), f"{line!r} is logged")
        cues.go()
    await site.told.exit(name)
    return f"n1/{name}"


async def has(site: Site, name: str, line: bytes) -> bool:
    async with site.node.logs(name) as session:
        return any([isinstance(item, Chunk) and line in item.data async for item in session])


async def logs(site: Site, *arguments: str) -> Ran:
    return await cli(site.world.server.url, "logs", *arguments)


async def test_each_stream_comes_as_it_was_with_its_times_if_wanted(
    site: Site, talked: str
) -> None:
    whole, timed = await asyncio.gather(logs(site, talked), logs(site, "-t", talked))
    assert (whole.code, whole.out, whole.err) == (0, "one\nthree", "two\n")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z one\n[^ ]+Z three", timed.out), timed.out
    assert re.fullmatch(r"[^ ]+Z two\n", timed.err), timed.err


async def test_json_lines_tell_where_to_go_on_and_times_cut(site: Site, talked: str) -> None:
    lines = [json.loads(line) for line in (await logs(site, "--json", talked)).out.splitlines()]
    assert [(line["stream"], line["text"]) for line in lines] == [
        ("stdout", "one\n"),
        ("stderr", "two\n"),
        ("stdout", "three"),
    ]
    assert lines[-1]["position"]["offset"] > len("one two three")
    after, before = await asyncio.gather(
        logs(site, "--since", lines[1]["time"], talked),
        logs(site, "--until", lines[0]["time"], talked),
    )
    assert (after.out, after.err) == ("three", "two\n")
    assert (before.out, before.err) == ("one\n", "")


async def test_what_is_not_there_is_told(site: Site, talked: str) -> None:
    url = site.world.server.url
    nobody = await typed(url, "logs", "n1/nobody")
    no_exec = await typed(url, "logs", "--process", "none", talked)
    no_run = await typed(url, "logs", "--run", "9", talked)
    assert (nobody.code, no_exec.code, no_run.code) == (1, 1, 1)
    assert "nobody" in nobody.err and "none" in no_exec.err and "run 9" in no_run.err


async def test_output_goes_on_over_the_death_of_the_agent(own: Site) -> None:
    """In the foreground and of a follower, each line once; then the exit, also of what was
    removed meanwhile."""
    await start_agent(own.agent)
    url, cues, others, name = own.world.server.url, own.cues(), own.cues(), own.name()
    where, run = f"{own.agent.name}/{name}", ("run", "--rootfs", str(own.world.rootfs), "-v")
    listens = ("sh", "-c", LISTENS)
    front = await start(url, *run, f"{cues.folder}:/cue:rw", where, *listens)
    await own.told.event(name, "started")
    follower = await start(url, "logs", "-f", where)
    sleeps, go = await own.run_with_cues(("sleep", "1000"))
    script = "echo one; read code </cue/go; exit $code"
    extra = await start(url, "exec", f"{own.agent.name}/{sleeps}", "sh", "-c", script)
    removed = own.name()
    rest = (f"{others.folder}:/cue:rw", "--rm", f"{own.agent.name}/{removed}", *listens)
    short = await start(url, *run, *rest)
    await own.told.event(removed, "started")
    cues.go("one")
    for reader in (front.stdout, follower.stdout, extra.stdout):
        assert reader is not None
        assert await bounded(reader.readline(), "a line") == b"one\n"

    await kill(own.agent)
    cues.go("dead")
    go.go("6")
    others.go("end")
    await start_agent(own.agent)
    assert await ended(extra) == (6, "", "")
    cues.go("end")
    assert await ended(front) == (5, "dead\nend\n", "")
    assert await ended(follower) == (0, "dead\nend\n", "")
    code, out, err = await ended(short)
    assert code == 5
    assert out == "end\n" or "removed before all of its output was read" in err
    await own.node.delete(name)
    await own.node.delete(sleeps, force=True)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, err = await bounded(process.communicate(), "the end")
    return process.returncode, out.decode(), err.decode()
