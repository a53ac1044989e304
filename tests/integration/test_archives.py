"""get-archive and put-archive against a real agent: containers in every state, and their ends."""

from __future__ import annotations

import asyncio
import os
import tarfile
from contextlib import suppress

import pytest
from tests.integration.bounds import bounded
from tests.integration.world import Site, command, restart, start
from tests.support.eventually import eventually
from tests.support.tars import content, member, members, tar

from wharfside_client.errors import SessionLost
from wharfside_client.session import Session
from wharfside_protocol.errors import Canceled, Denied, Invalid, NotFound
from wharfside_protocol.io_commands import ArchiveValue
from wharfside_protocol.io_frames import Chunk, StreamName

BIG = 8 * 2**20


def get(site: Site, name: str, path: str, **options: object) -> Session:
    return site.node.session("get-archive", {"container": name, "path": path, **options})


def put(site: Site, name: str, path: str) -> Session:
    return site.node.session("put-archive", {"container": name, "path": path})


async def taken(session: Session) -> dict[StreamName, bytearray]:
    found = {stream: bytearray() for stream in StreamName}
    async for item in session:
        assert isinstance(item, Chunk)
        found[item.stream] += item.data
    return found


async def pull(site: Site, name: str, path: str, **options: object) -> bytes:
    async with get(site, name, path, **options) as session:
        return bytes((await bounded(taken(session), f"archive of {path}"))[StreamName.ARCHIVE])


async def push(site: Site, name: str, path: str, data: bytes) -> None:
    async with put(site, name, path) as session:
        await session.write(data)
        await session.end()
        await bounded(taken(session), f"archive at {path}")


async def says(site: Site, name: str, script: str) -> str:
    value = await site.node.exec(name, command(script))
    assert value.output is not None
    return (value.output.stdout + value.output.stderr).decode()


async def test_files_come_and_go_while_it_is_running_paused_created_and_stopped(site: Site) -> None:
    data = tar([member("new", b"new\n", mode=0o4755, uid=3, gid=4)])
    created = site.name()
    await site.node.create(site.spec(created))
    stopped = await site.run()
    await site.node.stop(stopped, signal="KILL")
    paused = await site.run()
    await site.node.pause(paused)
    running = await site.run()
    for name in (running, paused, stopped, created):
        assert set(members(await pull(site, name, "/etc"))) >= {"etc", "etc/passwd", "etc/group"}
        await push(site, name, "/tmp", data)
        info = members(await pull(site, name, "/tmp/new"))["new"]
        assert (info.mode, info.uid, info.gid) == (0o4755, 3, 4)
    await site.node.resume(paused)
    for name in (running, paused):
        assert await says(site, name, "stat -c '%a %u %g' /tmp/new; cat /tmp/new") == (
            "4755 3 4\nnew\n"
        )
    await site.node.start(stopped)
    assert await says(site, stopped, "cat /tmp/new") == "new\n"


async def test_a_mount_of_the_container_is_seen_and_a_read_only_one_refused(site: Site) -> None:
    folder = site.world.roots / site.name("data")
    folder.mkdir()
    (folder / "file").write_text("mounted\n")
    name = await site.run(mounts=[{"source": str(folder), "target": "/mnt"}])
    assert content(await pull(site, name, "/mnt"), "mnt/file") == b"mounted\n"
    with pytest.raises(Denied, match="read-only"):
        await push(site, name, "/mnt", tar([member("x", b"x")]))
    with pytest.raises(Denied, match="use `exec`"):
        await pull(site, name, "/proc/1/environ")


async def test_the_answer_tells_name_kind_and_size_before_the_stream(site: Site) -> None:
    name = await site.run()
    async with get(site, name, "/etc") as session:
        value = session.value
        data = (await taken(session))[StreamName.ARCHIVE]
    assert isinstance(value, ArchiveValue)
    assert (value.name, value.folder, value.bytes) == ("etc", True, len(data))


async def test_what_is_wrong_is_told_by_its_type(site: Site) -> None:
    name = await site.run()
    with pytest.raises(NotFound, match="no /nowhere in the container"):
        await pull(site, name, "/nowhere")
    with pytest.raises(NotFound):
        await pull(site, site.name("nobody"), "/")
    with pytest.raises(Denied, match="devices") as caught:
        await push(site, name, "/tmp", tar([member("a", b"a"), member("n", kind=tarfile.CHRTYPE)]))
    assert (caught.value.details["made"], caught.value.details["written"]) == (1, 1)
    with pytest.raises(Invalid, match="cut off"):
        await push(site, name, "/tmp", tar([member("half", b"h" * 9000)])[:5000])
    assert await says(site, name, "ls -A /tmp") == "a\n"


async def test_a_reader_that_leaves_and_one_that_does_not_read_hold_up_nobody(site: Site) -> None:
    name = await site.run()
    await says(site, name, f"dd if=/dev/zero of=/tmp/big bs={BIG} count=1")
    async with get(site, name, "/tmp/big") as stuck, get(site, name, "/tmp/big") as leaving:
        await anext(aiter(leaving))
        await leaving.__aexit__(None, None, None)
        for _ in range(3):
            assert len(await pull(site, name, "/tmp/big")) > BIG
        assert (await site.node.stop(name, signal="KILL")).exit is not None
        assert len((await taken(stuck))[StreamName.ARCHIVE]) > BIG


async def test_a_writer_that_leaves_in_the_middle_leaves_no_half(site: Site) -> None:
    name = await site.run()
    async with put(site, name, "/tmp") as session:
        await session.write(tar([member("whole", b"w"), member("half", b"h" * BIG)])[:BIG])
    seen = await eventually(lambda: says(site, name, "ls -A /tmp"), "something is there")

    async def cleared() -> bool:
        return await says(site, name, "ls -A /tmp") == "whole\n"

    assert "half" not in seen.split()
    await eventually(cleared, "the temporary file is gone")


async def test_a_delete_ends_what_is_on_its_way(site: Site) -> None:
    name = await site.run()
    await says(site, name, f"dd if=/dev/zero of=/tmp/big bs={BIG} count=1")
    async with get(site, name, "/tmp/big") as reading, put(site, name, "/tmp") as writing:
        await writing.write(tar([member("half", b"h" * BIG)])[: 2**20])
        await site.node.delete(name, force=True)
        for session in (reading, writing):
            with pytest.raises(Canceled, match="deleted, or started again"):
                await bounded(taken(session), "the end of the session")


async def test_an_agent_that_dies_in_the_middle_leaves_no_half_under_its_name(own: Site) -> None:
    await start(own.agent)
    name = await own.run()
    # whatever is not acked at the end of the session is told as lost
    with suppress(SessionLost):
        async with put(own, name, "/tmp") as session:
            await session.write(tar([member("half", b"h" * BIG)])[:BIG])
            await eventually(lambda: says(own, name, "ls -A /tmp"), "it is being written")
            await restart(own.agent)
    assert (await says(own, name, "ls -A /tmp")).startswith(".wharfside-cp-")
    await push(own, name, "/tmp", tar([member("half", b"now whole")]))
    assert await says(own, name, "cat /tmp/half") == "now whole"
    await own.node.delete(name, force=True)


async def test_32_mb_of_chance_and_back_while_others_are_answered(site: Site) -> None:
    name, data = await site.run(), os.urandom(4 * BIG)
    pings = 0

    async def ping() -> None:
        nonlocal pings
        while True:
            await site.node.ping()
            pings += 1

    pinging = asyncio.create_task(ping())
    await push(site, name, "/tmp", tar([member("data", data)]))
    assert content(await pull(site, name, "/tmp/data"), "data") == data
    pinging.cancel()
    assert pings > 10
