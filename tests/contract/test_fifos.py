"""FIFOs on the node: what a local tool reads and writes there, and that it delays nobody."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.contract.worlds import (
    SLEEP,
    World,
    assert_ended,
    bounded,
    code_of,
    end_of,
    shell,
)

from wharfside_agent.ports.process import Process
from wharfside_agent.ports.watcher import Ended
from wharfside_protocol.specs import Io, ProcessSpec

FIFO = Io(fifo=True)


def path_of(process: Process, stream: str) -> Path:
    assert process.fifos is not None
    path = getattr(process.fifos, stream)
    assert path is not None
    return Path(path)


async def whole(process: Process, stream: str = "stdout") -> bytes:
    """As `cat` would read it: opened, and read to its end."""
    return await bounded(asyncio.to_thread(path_of(process, stream).read_bytes))


async def put(process: Process, data: bytes) -> None:
    """As `cat >` would write it."""
    await bounded(asyncio.to_thread(path_of(process, "stdin").write_bytes, data))


async def over(process: Process) -> Ended:
    """Its end; and the agent lets go of it, as it does once it has told that."""
    ended = await end_of(process)
    process.close()
    return ended


@pytest.mark.parametrize("log", [True, False])
async def test_each_stream_has_its_fifo_and_its_end(real: World, log: bool) -> None:
    container = await real.create(
        *shell("echo out; echo err >&2; exit 3"), io=Io(fifo=True, log=log)
    )
    reading = [asyncio.ensure_future(whole(container.init, name)) for name in ("stdout", "stderr")]
    await bounded(container.start())
    assert_ended(await over(container.init), 3 << 8)
    assert await asyncio.gather(*reading) == [b"out\n", b"err\n"]
    assert container.init.fifos is not None and container.init.fifos.stdin is None


async def test_a_late_reader_gets_all_of_it(crun: World) -> None:
    container = await crun.run(*shell("head -c 500000 /dev/zero; echo end"), io=FIFO)
    assert_ended(await over(container.init), 0)
    assert await whole(container.init) == bytes(500_000) + b"end\n"
    assert await whole(container.init, "stderr") == b""


async def test_nobody_who_reads_delays_nobody(real: World) -> None:
    container = await real.run(*shell("head -c 2000000 /dev/zero; exit 4"), io=FIFO)
    with path_of(container.init, "stdout").open("rb"):  # open, and not read
        assert_ended(await end_of(container.init), 4 << 8)
    assert len(container.init.output(3_000_000).stdout) == 2_000_000


async def test_a_reader_may_leave_and_another_goes_on(crun: World) -> None:
    container = await crun.run(*shell("echo one; echo two; exec sleep 1000"), io=FIFO)

    def some() -> bytes:
        with path_of(container.init, "stdout").open("rb", buffering=0) as fifo:
            return fifo.read(4)

    assert await bounded(asyncio.to_thread(some)) == b"one\n"
    assert await bounded(asyncio.to_thread(some)) == b"two\n"


async def test_what_is_written_is_stdin_and_its_end_too(real: World) -> None:
    container = await real.run("/bin/cat", io=Io(fifo=True, stdin=True))
    reading = asyncio.ensure_future(whole(container.init))
    await put(container.init, b"hello\n" * 50_000)
    assert_ended(await over(container.init), 0)
    assert await reading == b"hello\n" * 50_000


async def test_a_writer_that_writes_nothing_ends_stdin(crun: World) -> None:
    container = await crun.run("/bin/cat", io=Io(fifo=True, stdin=True))
    await put(container.init, b"")
    assert_ended(await end_of(container.init), 0)


async def test_stdin_that_is_kept_takes_one_writer_after_the_other(crun: World) -> None:
    container = await crun.run("/bin/cat", io=Io(fifo=True, stdin=True, stdin_once=False))
    for line in (b"1\n", b"2\n", b"3\n"):
        await put(container.init, line)

    def some() -> bytes:
        with path_of(container.init, "stdout").open("rb", buffering=0) as fifo:
            read = b""
            while len(read) < 6:
                read += fifo.read(6)
            return read

    assert await bounded(asyncio.to_thread(some)) == b"1\n2\n3\n"


async def test_an_exec_and_a_terminal_have_theirs(real: World) -> None:
    container = await real.run(*SLEEP)
    io = Io(fifo=True, tty=True)
    spec = ProcessSpec(args=list(shell("read x; echo got $x; exit 5")))
    added = await bounded(container.exec("e1", spec, io))
    assert added.fifos is not None and added.fifos.stderr is None
    reading = asyncio.ensure_future(whole(added))
    await put(added, b"it\n")
    assert code_of(await over(added)) == 5
    assert await reading == b"it\r\ngot it\r\n"
    added.discard()


async def test_a_new_life_goes_on_where_the_last_one_was(crun: World) -> None:
    script = "echo before; read x < /tmp/go; echo after; exit 6"
    container = await crun.run(*shell(f"mkfifo /tmp/go; {script}"), io=FIFO)
    fifo = os.open(path_of(container.init, "stdout"), os.O_RDONLY)
    try:
        assert await bounded(asyncio.to_thread(os.read, fifo, 100)) == b"before\n"
        traces = [each.trace for each in container.processes()]
        container.close()
        again = crun.keep(await bounded(crun.new_life().reattach(crun.plans[container.id], traces)))
        await end_of(
            await bounded(again.exec("go", ProcessSpec(args=list(shell("echo > /tmp/go")))))
        )
        assert_ended(await end_of(again.init), 6 << 8)
        again.init.close()
        assert await bounded(asyncio.to_thread(os.read, fifo, 100)) == b"after\n"
    finally:
        os.close(fifo)


async def test_without_fifos_there_are_none(world: World) -> None:
    container = await world.run(*SLEEP)
    assert container.init.fifos is None
    container.init.signal(signal.SIGKILL)
