"""Terminals through the CLI: a real pty here, one in the container, and a person's view of it.

What a program shows through all of it must be what it shows when it runs here, in a window of
the same size: cell by cell, with the cursor.
"""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager

import pytest
from tests.integration.cli_kit import ENTRY, environment
from tests.integration.world import Site
from tests.support.requirements import requires
from tests.support.screen import Screen, open_screen

pytestmark = requires("root", "conmon", "crun", "busybox-static", "nats-server")

SIZES = [(24, 80), (50, 200)]
HERE = "import os, sys; os.chroot(sys.argv[1]); os.chdir('/'); os.execv(sys.argv[2], sys.argv[2:])"
TOP = "PID  PPID USER     STAT   VSZ %VSZ %CPU COMMAND"
LINES = "".join(f"line {n} " + "word " * (n % 45) + "\n" for n in range(1, 120))


@pytest.fixture
def lines(site: Site) -> str:
    """A file that is in every container."""
    path = site.world.rootfs / "lines"
    path.write_text(LINES)
    return "/lines"


def wharfside(
    site: Site, *arguments: str, rows: int = 24, columns: int = 80
) -> AbstractAsyncContextManager[Screen]:
    env = environment(site.world.server.url)
    return open_screen(ENTRY, arguments, env=env, rows=rows, columns=columns)


def here(site: Site, *arguments: str, rows: int, columns: int) -> AbstractAsyncContextManager:
    """The same program in this terminal, in the container's root."""
    words = [str(site.world.rootfs), *arguments]
    return open_screen(HERE, words, env=dict(os.environ), rows=rows, columns=columns)


async def same(remote: Screen, local: Screen, text: str) -> None:
    """Both show `text`, and each cell and the cursor are the same."""
    await local.shows(text)
    await remote.until(
        lambda: (remote.lines, remote.cursor) == (local.lines, local.cursor),
        f"the same as here:\n{local.framed()}",
    )


@pytest.mark.parametrize(("rows", "columns"), SIZES)
async def test_vi_looks_as_it_does_here_also_in_another_size(
    site: Site, lines: str, rows: int, columns: int
) -> None:
    name, window = await site.run(), {"rows": rows, "columns": columns}
    async with (
        wharfside(site, "exec", "-it", f"n1/{name}", "vi", lines, **window) as remote,
        here(site, "/bin/vi", lines, **window) as local,
    ):
        await same(remote, local, "line 20")
        for screen in (remote, local):
            screen.send("5Gihello \x1b")
        await same(remote, local, "hello line 5")
        for screen in (remote, local):
            screen.resize(40, 120)
        await same(remote, local, "line 38")
        for screen in (remote, local):
            screen.send(":q!\r")
        assert await remote.ended() == await local.ended() == 0


@pytest.mark.parametrize(("rows", "columns"), SIZES)
async def test_less_and_top_look_as_they_do_here(
    site: Site, lines: str, rows: int, columns: int
) -> None:
    name, window = await site.run(), {"rows": rows, "columns": columns}
    async with (
        wharfside(site, "exec", "-it", f"n1/{name}", "less", lines, **window) as remote,
        here(site, "/bin/less", lines, **window) as local,
        wharfside(site, "exec", "-it", f"n1/{name}", "top", **window) as top,
    ):
        await same(remote, local, "line 12")
        for screen in (remote, local):
            screen.send(" ")
        await same(remote, local, "line 26")
        await looks_like_top(top, rows)
        for screen in (remote, local, top):
            screen.send("q")
        for screen in (remote, local, top):
            before = await screen.ended()
            assert before == 0


async def looks_like_top(top: Screen, rows: int) -> None:
    await top.shows("sleep")
    assert top.lines[0].startswith("Mem: ")
    assert top.lines[1].startswith("CPU: ")
    assert top.lines[2].startswith("Load average: ")
    assert top.reversed_on(3) == TOP
    shown = [line.split() for line in top.lines[4:] if line]
    assert [row[-1] for row in shown if row[0] == "1"]


async def test_a_shell_has_the_size_from_the_start_and_is_left_and_come_back_to(
    site: Site,
) -> None:
    where = f"n1/{site.name('shell')}"
    flags = ("run", "-it", "--rm", "--rootfs", str(site.world.rootfs))
    async with wharfside(site, *flags, where, "sh", "-c", "stty size; exec sh") as first:
        before = first.modes
        await first.shows("24 80")
        await first.shows("/ #")
        first.send("echo $((6 * 7)) $TERM\r")
        await first.shows("42 xterm")
        first.send(b"half\x10\x11")
        assert await first.ended() == 0
        assert first.modes == before
        assert f"come back with `wharfside attach {where}`" in first.unwrapped
    async with wharfside(site, "attach", where, rows=30, columns=90) as second:
        await second.shows("/ # half")  # what it was left with, drawn anew
        second.send("\x15stty size; exit 7\r")
        await second.shows("30 90")
        assert await second.ended() == 7


async def test_one_types_and_others_look_on(site: Site) -> None:
    name = site.name("shell")
    where = f"n1/{name}"
    flags = ("run", "-it", "--rootfs", str(site.world.rootfs))
    async with wharfside(site, *flags, where, "sh") as types:
        await types.shows("/ #")
        async with wharfside(site, "attach", where) as refused:
            assert await refused.ended() == 125
            assert "take" in refused.unwrapped
        async with wharfside(site, "attach", "--no-stdin", where) as looks:
            await site.told.event(name, "attached", nth=2)
            types.send("echo $((6 * 7))\r")
            await types.shows("42")
            await looks.shows("42")
            async with wharfside(site, "attach", "--take", where) as takes:
                await takes.shows("/ #")
                assert await types.ended() == 125
                takes.send("exit 3\r")
                assert await takes.ended() == 3
            assert await looks.ended() == 3


async def test_ctrl_c_is_the_programs_and_the_terminal_is_right_after_a_kill(site: Site) -> None:
    name = await site.run()
    script = ("sh", "-c", "echo ready; exec sleep 1000")
    async with (
        wharfside(site, "exec", "-it", f"n1/{name}", *script) as interrupted,
        wharfside(site, "exec", "-it", f"n1/{name}", *script) as killed,
    ):
        before = killed.modes
        await interrupted.shows("ready")
        interrupted.send("\x03")
        assert await interrupted.ended() == 130
        await killed.shows("ready")
        assert killed.is_raw
        await site.node.signal(name, "KILL")
        assert await killed.ended() == 137
        assert killed.modes == before
