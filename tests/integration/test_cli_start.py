"""`start -a` and `start -i`: a container's own output, input and exit code, run after run."""

from __future__ import annotations

import asyncio
import subprocess

import pytest
from tests.integration.bounds import bounded
from tests.integration.cli_kit import COMMAND, Ran, cli, environment
from tests.integration.test_cli_terminals import wharfside as on_screen
from tests.integration.world import Site
from tests.support.requirements import requires

pytestmark = requires("root", "conmon", "crun", "busybox-static", "nats-server")


async def created(site: Site, *flags: str, script: str) -> str:
    where = f"n1/{site.name()}"
    rootfs = ("--rootfs", str(site.world.rootfs))
    made = await cli(site.world.server.url, "create", *flags, *rootfs, where, "sh", "-c", script)
    assert made.code == 0, made.err
    return where


async def start(site: Site, *arguments: str, given: bytes | None = None) -> Ran:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "start",
        *arguments,
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(site.world.server.url),
    )
    out, err = await bounded(process.communicate(given), "the end")
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def test_each_run_has_its_own_output_and_exit_code(site: Site) -> None:
    script = "date +%s >> /runs; echo out; echo err >&2; exit $(wc -l < /runs)"
    where = await created(site, script=script)
    for run in (1, 2):
        ran = await start(site, "-a", where)
        assert (ran.code, ran.out, ran.err) == (run, "out\n", "err\n")


@pytest.mark.parametrize("flags", [("-i",), ("-i", "--no-log")], ids=["log", "no log"])
async def test_input_is_passed_on_with_its_end(site: Site, flags: tuple[str, ...]) -> None:
    where = await created(site, *flags, script="sort; exit 4")
    for flag in ("-i", "-ai"):
        ran = await start(site, flag, where, given=b"b\na\n")
        assert (ran.code, ran.out, ran.err) == (4, "a\nb\n", "")


async def test_without_i_nothing_is_passed_on_and_its_input_stays_open(site: Site) -> None:
    where = await created(site, "-i", script="echo hi; exit 2")
    ran = await start(site, "-a", where, given=b"for somebody else")
    assert (ran.code, ran.out) == (2, "hi\n")


async def test_a_run_that_is_over_at_once_is_told_whole(site: Site) -> None:
    where = await created(site, "-i", script="echo there; exit 6")
    for _ in range(3):
        ran = await start(site, "-ai", where, given=b"")
        assert (ran.code, ran.out) == (6, "there\n"), ran.err


async def test_a_terminal_again_and_again(site: Site) -> None:
    where = await created(site, "-it", script="stty size; read word; exit $word")
    for code in (3, 5):
        async with on_screen(site, "start", "-ai", where, rows=30, columns=90) as screen:
            await screen.made_raw()
            screen.send(f"{code}\r")
            assert await screen.ended() == code


async def test_what_cannot_be_started_so_is_told(site: Site) -> None:
    where = await created(site, script="true")
    many = await start(site, "-a", where, f"{where}2")
    assert many.code == 2 and "-a and -i are for one container" in " ".join(many.err.split())
    assert (await start(site, "-a", f"{where}2")).code == 125
    running = f"n1/{await site.run()}"
    assert (await start(site, "-a", running)).code == 125
