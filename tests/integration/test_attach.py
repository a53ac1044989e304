"""Sessions at real processes: input, output, terminals; who may write; and what never waits."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from tests.integration.attach_kit import KEPT, ONCE, TTY, attached, execed, rest, seen
from tests.integration.bounds import bounded
from tests.integration.fifos import shell
from tests.integration.world import Site
from tests.support.eventually import eventually

from wharfside_client import connect
from wharfside_protocol.errors import (
    Invalid,
    NotFound,
    RuntimeFailed,
    Unsupported,
    WharfsideError,
    WrongState,
)
from wharfside_protocol.io_frames import BULK_WINDOW, Chunk, Exit, Lost
from wharfside_protocol.specs import Io

CAT = ("/bin/cat",)
MIB = 1 << 20
FLOOD_BYTES = 3 * BULK_WINDOW
"""More than a window, the ring and the sockets take together."""


async def test_what_is_written_comes_back_and_the_end_is_the_programs(site: Site) -> None:
    name = await site.run(CAT, io=ONCE)
    async with attached(site, name, stdin=True) as session:
        await session.write(b"hello ")
        await session.write(b"there")
        await session.end()
        output, exit_ = await rest(session)
    assert (output, exit_.exit_code) == (b"hello there", 0)
    await site.told.exit(name)
    assert site.told.types(name) == ["created", "started", "attached", "exited"]


async def test_who_has_the_input_is_told(site: Site) -> None:
    name = await site.run(io=KEPT)
    async with attached(site, name, stdin=True) as session:
        begun = await site.told.event(name, "attached")
    told = await site.told.event(name, "detached")
    assert begun.data["peer"] == told.data["peer"] == session.view.peer
    assert begun.data["session"] == told.data["session"] == session.view.session
    assert (begun.data["stdin"], begun.data["tty"], begun.process) == (True, False, "init")
    async with attached(site, name):
        pass
    assert site.told.types(name) == ["created", "started", "attached", "detached"]


async def test_created_attached_and_started_as_run_it_does(site: Site) -> None:
    name = site.name()
    await site.node.create(site.spec(name, shell("stty size; read x; echo got $x; exit 4"), io=TTY))
    size = {"rows": 50, "columns": 200}
    async with attached(site, name, stdin=True, size=size) as session:
        assert session.view.tty
        await site.node.start(name)
        await seen(session, b"50 200\r\n")
        await session.write(b"it\n")
        output, exit_ = await rest(session)
    assert output.endswith(b"got it\r\n")
    assert exit_.exit_code == 4


async def test_a_window_that_changes_and_a_signal(site: Site) -> None:
    script = "trap 'stty size' WINCH; trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done"
    name = await site.run(shell(script), io=Io(tty=True))
    async with attached(site, name, position={"run": 1, "offset": 0}) as session:
        await seen(session, b"ready\r\n")
        await session.resize(33, 99)
        await seen(session, b"33 99\r\n")
        await session.signal("USR1")
        _, exit_ = await rest(session)
    assert (exit_.exit_code, exit_.reason) == (7, "kill")
    assert (await site.told.event(name, "signaled")).data["signal"] == 10


async def test_many_read_and_one_writes(site: Site) -> None:
    name = await site.run(CAT, io=KEPT)
    async with (
        attached(site, name, stdin=True) as writer,
        attached(site, name) as first,
        attached(site, name) as second,
    ):
        assert first.view.window == 0
        with pytest.raises(WrongState) as refused:
            async with attached(site, name, stdin=True):
                pass
        assert refused.value.details["peer"] == writer.view.peer
        await writer.write(b"to all\n")
        for reader in (writer, first, second):
            assert await seen(reader, b"to all\n") == b"to all\n"


async def test_a_writer_may_be_replaced_and_is_told(site: Site) -> None:
    name = await site.run(CAT, io=ONCE)
    async with attached(site, name, stdin=True) as old:
        await old.write(b"old\n")
        await seen(old, b"old\n")
        async with attached(site, name, stdin=True, take=True) as new:
            with pytest.raises(WrongState, match="taken over"):
                await bounded(anext(old), "the old one's end")
            await new.write(b"new\n")
            await new.end()
            output, exit_ = await rest(new)
    assert (output, exit_.exit_code) == (b"new\n", 0)


async def test_a_writer_that_reads_nothing_may_be_replaced_at_once(site: Site) -> None:
    """Nothing more of the output is read for it, and what it wrote waits for that."""
    cues = site.cues()
    script = "head -c 1000000 /dev/zero; echo >/cue/ready; cat; exit 3"
    name = await site.run(shell(script), io=ONCE, mounts=[cues.mount])
    await cues.ready()
    await eventually(lambda: has_logged(site, name, 1_000_000), "all of it is logged", every_s=0.1)
    wish = {"container": name, "stdin": True, "position": {"run": 1, "offset": 0}}
    async with site.node.session("attach", wish, window=4096) as old:
        await old.write(b"never taken\n")
        await old.signal("URG")  # which nobody heeds; it comes behind what was written
        await site.told.event(name, "signaled")
        async with attached(site, name, stdin=True, take=True) as new:
            left = await site.told.event(name, "detached")
            assert left.data["session"] == old.view.session
            await new.write(b"new\n")
            await new.end()
            output, exit_ = await rest(new)
        await old.close()
    assert (output, exit_.exit_code) == (b"new\n", 3)


async def has_logged(site: Site, name: str, count: int) -> bool:
    async with site.node.logs(name) as session:
        chunks = [item async for item in session if isinstance(item, Chunk)]
    return sum(len(chunk.data) for chunk in chunks) == count


async def test_who_is_refused_resizes_nobodys_terminal(site: Site) -> None:
    name = await site.run(("/bin/sh",), io=TTY)
    size = {"rows": 30, "columns": 90}
    async with attached(site, name, stdin=True, size=size) as session:
        with pytest.raises(WrongState):
            async with attached(site, name, stdin=True, size={"rows": 9, "columns": 9}):
                pass
        await session.write(b"stty size; exit 0\n")
        await seen(session, b"30 90\r\n")
        assert (await rest(session))[1].exit_code == 0


async def test_a_terminal_outlives_its_sessions(site: Site) -> None:
    name = await site.run(("/bin/sh",), io=TTY)
    async with attached(site, name, stdin=True) as session:
        await session.write(b"A=kept\n")
        await seen(session, b"A=kept\r\n")
    await site.told.event(name, "detached")
    async with attached(site, name, stdin=True) as session:
        await session.write(b"echo is $A; exit 6\n")
        await seen(session, b"is kept\r\n")
        assert (await rest(session))[1].exit_code == 6


@pytest.mark.parametrize("log", [True, False])
async def test_a_short_exec_is_whole(site: Site, log: bool) -> None:
    name = await site.run()
    for number in range(3):
        script = f"echo out {number}; exit {number}"
        async with execed(site, name, *shell(script), io={"log": log}) as session:
            output, exit_ = await rest(session)
        assert (output, exit_.exit_code) == (b"out %d\n" % number, number)


async def test_an_exec_with_a_terminal(site: Site) -> None:
    name = await site.run(runtime="runc")
    io, size = {"stdin": True, "tty": True}, {"rows": 30, "columns": 90}
    async with execed(site, name, *shell("stty size; read x"), io=io, size=size) as session:
        await seen(session, b"30 90\r\n")
        await session.write(b"\x03")
        _, exit_ = await rest(session)
    assert (exit_.exit_code, exit_.reason) == (130, "self")


async def test_an_exec_that_cannot_run_opens_nothing(site: Site) -> None:
    name = await site.run()
    with pytest.raises(RuntimeFailed, match="no-such"):
        async with execed(site, name, "/bin/no-such"):
            pass
    views = await site.node.list_processes(name)
    assert [each.process for each in views] == ["init"]


@pytest.mark.parametrize("mib", [4, pytest.param(100, marks=pytest.mark.soak)])
async def test_what_a_real_cat_gives_back_is_the_same(site: Site, mib: int) -> None:
    """Both ways at once, through conmon, its log's rotation, and the bus."""
    name = await site.run(CAT, io=ONCE)
    sent, back = hashlib.sha256(), hashlib.sha256()
    async with attached(site, name, stdin=True) as session:

        async def feed() -> None:
            for _ in range(mib):
                block = os.urandom(MIB)
                sent.update(block)
                await bounded(session.write(block), "taken")
            await session.end()

        feeding = asyncio.create_task(feed())
        while not isinstance(item := await bounded(anext(session), "echoed"), Exit):
            assert isinstance(item, Chunk), item
            back.update(item.data)
        await feeding
    assert (item.exit.exit_code, back.digest()) == (0, sent.digest())


async def test_random_bytes_in_turns_through_a_ring(site: Site) -> None:
    name = await site.run(CAT, io=Io(stdin=True, log=False))
    data = os.urandom(3_000_000)
    async with attached(site, name, stdin=True) as session:
        # The ring has room for each part, so nothing of it is lost to a reader that keeps up.
        back = hashlib.sha256()
        for start in range(0, len(data), 100_000):
            part = data[start : start + 100_000]
            await bounded(session.write(part), "taken")
            left = len(part)
            while left > 0:
                item = await bounded(anext(session), "echoed")
                assert isinstance(item, Chunk), item
                back.update(item.data)
                left -= len(item.data)
        await session.end()
        assert (await rest(session))[1].exit_code == 0
    assert back.digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("log", [True, False])
async def test_a_reader_that_takes_nothing_delays_no_exit(site: Site, log: bool) -> None:
    name = site.name()
    script = f"head -c {FLOOD_BYTES} /dev/zero; exit 3"
    await site.node.create(site.spec(name, shell(script), io=Io(stdin=True, log=log)))
    async with attached(site, name, stdin=True) as stuck:
        await site.node.start(name)
        assert (await site.told.exit(name)).exit_code == 3
        given = lost = 0
        async for item in stuck:
            if isinstance(item, Chunk):
                given += len(item.data)
            elif isinstance(item, Lost):
                lost += item.count
        assert given + lost == FLOOD_BYTES
        assert (lost > 0) is not log


async def test_a_peer_that_is_gone_delays_no_exit(site: Site) -> None:
    name = await site.run(shell(f"read x; head -c {FLOOD_BYTES} /dev/zero; exit 5"), io=KEPT)
    async with connect(site.world.server.url) as fleet:
        session = fleet.node("n1").session("attach", {"container": name, "stdin": True})
        await session.__aenter__()
        await session.write(b"go\n")
        await session.drain()
    assert (await site.told.exit(name)).exit_code == 5


REFUSED: dict[str, tuple[dict[str, Any], type[WharfsideError]]] = {
    "a container that is not there": ({"container": "no-such"}, NotFound),
    "a process that is not there": ({"process": "no-such"}, NotFound),
    "input for what has none": ({"stdin": True}, WrongState),
    "a size for what is no terminal": ({"size": {"rows": 24, "columns": 80}}, Unsupported),
    "a place in another run": ({"position": {"run": 2, "offset": 0}}, Invalid),
    "a place that never was": ({"position": {"run": 1, "offset": 10_000_000}}, Invalid),
}


async def test_what_cannot_be_attached_to_is_refused_and_changes_nothing(site: Site) -> None:
    name = await site.run()
    for what, (args, error) in REFUSED.items():
        with pytest.raises(error):
            async with site.node.session("attach", {"container": name, **args}):
                pytest.fail(what)
    await site.node.stop(name, grace_s=0)
    await site.told.exit(name)
    assert site.told.types(name) == ["created", "started", "stopping", "exited"]
    with pytest.raises(WrongState, match="logs"):
        async with attached(site, name):
            pass


async def test_fifos_are_told_and_are_the_only_input(site: Site) -> None:
    name = await site.run(CAT, io=Io(stdin=True, fifo=True))
    (init,) = await site.node.list_processes(name)
    assert (await site.node.inspect(name)).processes[0].fifos == init.fifos
    assert init.fifos is not None and init.fifos.stdin and init.fifos.stdout
    with pytest.raises(WrongState, match="FIFO"):
        async with attached(site, name, stdin=True):
            pass
    async with attached(site, name) as reader:
        Path(init.fifos.stdin).write_bytes(b"by a local tool\n")
        output, exit_ = await rest(reader)
    assert (output, exit_.exit_code) == (b"by a local tool\n", 0)
    late = await asyncio.to_thread(Path(init.fifos.stdout).read_bytes)
    assert late == b"by a local tool\n"


async def test_an_exec_has_fifos_too(site: Site) -> None:
    name = await site.run()
    wanted = {"container": name, "process": {"args": ["/bin/cat"]}, "exec": "job"}
    async with site.node.session("exec", {**wanted, "io": {"stdin": True, "fifo": True}}) as reader:
        views = {each.process: each for each in await site.node.list_processes(name)}
        fifos = views["job"].fifos
        assert views["init"].fifos is None and fifos is not None and fifos.stdin
        Path(fifos.stdin).write_bytes(b"job\n")
        assert (await rest(reader))[0] == b"job\n"
