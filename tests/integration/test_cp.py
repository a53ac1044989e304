"""`wharfside cp` as operators type it, against a real agent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.integration.bounds import bounded
from tests.integration.cli_kit import COMMAND, ENTRY, Ran, cli, environment, typed
from tests.integration.world import Site, command
from tests.support.eventually import eventually
from tests.support.screen import open_screen
from tests.support.tars import member, members, tar

Cli = Callable[..., Awaitable[Ran]]

BIG = 64 * 2**20


@pytest.fixture
def quick(site: Site) -> Cli:
    async def run(*arguments: str) -> Ran:
        return await typed(site.world.server.url, *arguments)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/sub/f").write_text("data\n")
    (tmp_path / "src/sub/f").chmod(0o750)
    (tmp_path / "src/l").symlink_to("sub/f")
    return tmp_path


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


async def says(site: Site, name: str, script: str) -> str:
    output = (await site.node.exec(name, command(script))).output
    assert output is not None
    return output.stdout.decode()


async def test_a_folder_goes_in_and_comes_out_again(site: Site, quick: Cli, here: Path) -> None:
    name = await site.run()
    ran = await quick("cp", "src", f"n1/{name}:/tmp")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert await says(site, name, "cd /tmp/src; readlink l; stat -c '%a %u' sub/f") == (
        "sub/f\n750 0\n"
    )
    assert (await quick("cp", f"n1/{name}:/tmp/src", "copy")).code == 0
    assert (await quick("cp", "--json", f"n1/{name}:tmp/src/.", "copy/sub")).json["bytes"] > 1024
    assert tree(here / "copy") == {"l", "sub", "sub/f", "sub/l", "sub/sub", "sub/sub/f"}
    assert (here / "copy/sub/f").read_text() == "data\n"
    assert (await quick("cp", "-L", f"n1/{name}:/tmp/src/l", "file")).code == 0
    assert (here / "file").read_text() == "data\n" and not (here / "file").is_symlink()


async def test_owners_go_along_where_asked_for(site: Site, quick: Cli, here: Path) -> None:
    name = await site.run()
    os.chown(here / "src/sub/f", 12, 34)
    await quick("cp", "-a", "src/sub/f", f"n1/{name}:/tmp")
    assert await says(site, name, "stat -c '%u:%g' /tmp/f") == "12:34\n"
    await quick("cp", "-a", f"n1/{name}:/tmp/f", "kept")
    await quick("cp", f"n1/{name}:/tmp/f", "ours")
    assert [(here / each).stat().st_uid for each in ("kept", "ours")] == [12, os.getuid()]


async def test_a_tar_goes_through_stdin_and_stdout(site: Site, here: Path) -> None:
    name = await site.run()

    async def piped(data: bytes, *arguments: str) -> tuple[int | None, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("cp", *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(site.world.server.url),
        )
        out, err = await bounded(process.communicate(data), "cp")
        return process.returncode, out, err

    data = tar([member("a/b", b"x" * 500_000, uid=7)])
    assert await piped(data, "-", f"n1/{name}:/tmp") == (0, b"", b"")
    code, out, err = await piped(b"", f"n1/{name}:/tmp/a", "-")
    assert (code, err, set(members(out))) == (0, b"", {"a", "a/b"})
    assert members(out)["a/b"].uid == 7
    code, _, err = await piped(data, "-", f"n1/{name}:/fresh")
    assert (code, b"there is no /fresh/." in err) == (1, True)
    code, _, err = await piped(b"no tar" * 1000, "-", f"n1/{name}:/tmp")
    assert (code, b"not a tar" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("{}:/nowhere", "."), 1, "there is no /nowhere"),
        (("{}:/dev/null", "."), 1, "a device"),
        (("nothing", "{}:/tmp"), 125, "there is no nothing here"),
        (("{}:/etc", "src/sub/f"), 1, "is no folder"),
        (("{}:/etc/passwd", "no/where"), 125, "there is no folder"),
        (("{}:/etc", "{}:/tmp"), 2, "copy out, then in"),
        (("src", "copy"), 2, "NODE/CONTAINER:PATH"),
        (("src", "Bad:/tmp"), 2, "./Bad:/tmp"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_changed(
    site: Site, quick: Cli, here: Path, arguments: tuple[str, str], code: int, word: str
) -> None:
    name, before = await site.run(), tree(here)
    ran = await quick("cp", *(each.format(f"n1/{name}") for each in arguments))
    assert (ran.code, word in " ".join(ran.err.split())) == (code, True), ran.err
    assert tree(here) == before


async def test_what_is_left_out_is_said(site: Site, quick: Cli, here: Path) -> None:
    name = await site.run()
    await says(site, name, "mknod /tmp/null c 1 3; touch /tmp/f; mkfifo /tmp/p")
    ran = await quick("cp", f"n1/{name}:/tmp", "copy")
    assert (ran.code, tree(here / "copy")) == (0, {"f"})
    assert "null: a device or a socket: left out" in ran.err
    assert "p: a FIFO: left out" in ran.err


async def test_ctrl_c_leaves_no_half(site: Site, here: Path) -> None:
    name = await site.run()
    await says(site, name, f"truncate -s {BIG} /tmp/z; dd if=/dev/urandom of=/tmp/z bs=1M count=64")

    async def interrupted(*arguments: str, seen: Callable[[], Awaitable[object]]) -> None:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "cp", *arguments, env=environment(site.world.server.url)
        )

        async def halted_on_its_way() -> object:
            """It stands still while it is looked at: else it may be over before it is seen."""
            process.send_signal(signal.SIGSTOP)
            if not (found := await seen()):
                process.send_signal(signal.SIGCONT)
            return found

        try:
            await eventually(halted_on_its_way, "it is on its way", every_s=0.1)
            for each in (signal.SIGINT, signal.SIGCONT):
                process.send_signal(each)
            assert await bounded(process.wait(), "its end") == 130
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def written() -> bool:
        return bool(list(here.glob(".wharfside-cp-*/z")))

    await interrupted(f"n1/{name}:/tmp/z", "z", seen=written)
    assert tree(here) == {"src", "src/sub", "src/sub/f", "src/l"}
    (here / "big").write_bytes(os.urandom(BIG))

    async def arriving() -> bool:
        return ".wharfside-cp-" in await says(site, name, "ls -A /tmp")

    await interrupted("big", f"n1/{name}:/tmp/big", seen=arriving)

    async def cleared() -> bool:
        return await says(site, name, "ls -A /tmp") == "z\n"

    await eventually(cleared, "nothing of it is left in the container")


async def test_progress_is_shown_on_a_terminal(site: Site, here: Path) -> None:
    name = await site.run()
    await says(site, name, "dd if=/dev/urandom of=/tmp/z bs=1M count=8")
    arguments = ["cp", f"n1/{name}:/tmp/z", str(here)]
    async with open_screen(ENTRY, arguments, env=environment(site.world.server.url)) as screen:
        assert await screen.ended() == 0
        line = next(each for each in screen.lines if f"n1/{name}:/tmp/z" in each)
        assert "8.0/8.0 MiB" in line and "MB/s" in line
    assert (here / "z").stat().st_size == 8 * 2**20


async def test_quiet_shows_nothing(site: Site, here: Path) -> None:
    name = await site.run()
    arguments = ["cp", "-q", f"n1/{name}:/etc/passwd", str(here)]
    async with open_screen(ENTRY, arguments, env=environment(site.world.server.url)) as screen:
        assert await screen.ended() == 0
        assert screen.text.strip() == ""


async def test_help_tells_of_dots_and_dashes(site: Site) -> None:
    ran = await cli(site.world.server.url, "cp", "--help")
    assert "SOURCE/." in ran.out and "stdin" in ran.out
