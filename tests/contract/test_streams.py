"""A process's input, and its output where there is no log."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal

import pytest
from tests.contract.kernel import kill
from tests.contract.worlds import (
    SLEEP,
    World,
    assert_ended,
    bounded,
    code_of,
    end_of,
    shell,
    unlogged,
)
from tests.support.eventually import eventually

from wharfside_agent.ports.io import Missing, Piece
from wharfside_agent.ports.process import Process
from wharfside_protocol.errors import RuntimeFailed, Unsupported, WrongState
from wharfside_protocol.io_frames import StreamName
from wharfside_protocol.specs import Io, ProcessSpec

CAT = ("/bin/cat",)
ONCE = Io(stdin=True)
KEPT = Io(stdin=True, stdin_once=False)
UNLOGGED = Io(log=False)


async def printed(process: Process, whole: bytes) -> None:
    """Waits until `whole` is what its log has of stdout."""
    await eventually(lambda: process.output(10_000).stdout == whole, f"{whole!r} in the log")


async def test_input_reaches_the_program_and_its_end_does(world: World) -> None:
    container = await world.run(*CAT, io=ONCE)
    streams = container.init.streams
    streams.open_input()
    await bounded(streams.write(b"one\n"))
    await printed(container.init, b"one\n")
    await bounded(streams.write(b"two"))
    streams.end_input()
    assert_ended(await end_of(container.init), 0)
    assert container.init.output(100).stdout == b"one\ntwo"


async def test_input_before_the_start_waits_for_the_program(world: World) -> None:
    container = await world.create(*CAT, io=ONCE)
    container.init.streams.open_input()
    await bounded(container.init.streams.write(b"early\n"))
    container.init.streams.end_input()
    await bounded(container.start())
    assert_ended(await end_of(container.init), 0)
    assert container.init.output(100).stdout == b"early\n"


async def test_an_exec_has_an_input_of_its_own(world: World) -> None:
    container = await world.run(*SLEEP)
    added = await bounded(container.exec("e1", ProcessSpec(args=list(CAT)), ONCE))
    added.streams.open_input()
    await bounded(added.streams.write(b"exec\n"))
    added.streams.end_input()
    assert code_of(await end_of(added)) == 0
    assert added.output(100).stdout == b"exec\n"
    assert not world.kernel or world.kernel.lives(container.pid)


async def test_stdin_ends_with_its_first_user(world: World) -> None:
    container = await world.run(*shell("sleep 1000"), io=ONCE)
    streams = container.init.streams
    assert not streams.input_over
    streams.open_input()
    streams.end_input()
    assert streams.input_over
    with pytest.raises(WrongState, match=r"stdin has had its end|no more"):
        streams.open_input()
    with pytest.raises(WrongState):
        await bounded(streams.write(b"late"))


async def test_stdin_that_is_kept_takes_one_user_after_the_other(world: World) -> None:
    container = await world.run(*CAT, io=KEPT)
    streams = container.init.streams
    for number in range(3):
        streams.open_input()
        await bounded(streams.write(b"%d\n" % number))
        streams.end_input()
    await printed(container.init, b"0\n1\n2\n")
    assert not streams.input_over


async def test_a_process_without_stdin_reads_its_end_and_takes_none(world: World) -> None:
    container = await world.run(*CAT)
    assert container.init.streams.input_over
    with pytest.raises(WrongState):
        container.init.streams.open_input()
    with pytest.raises(Unsupported, match="terminal"):
        await bounded(container.init.streams.resize(24, 80))
    with pytest.raises(Unsupported, match="log"):
        container.init.streams.unlogged()
    assert_ended(await end_of(container.init), 0)


async def test_input_after_the_end_is_dropped(world: World) -> None:
    container = await world.run(*shell("exit 0"), io=KEPT)
    await end_of(container.init)
    with pytest.raises(RuntimeFailed, match="over"):
        container.init.streams.open_input()


async def test_without_a_log_the_first_output_is_kept_and_the_last(world: World) -> None:
    container = await world.create(*shell("echo first; echo err >&2; exit 3"), io=UNLOGGED)
    source = container.init.streams.unlogged()
    await bounded(container.start())
    assert await unlogged(source) == (b"first\n", b"err\n")
    assert_ended(await end_of(container.init), 3 << 8)
    assert container.init.output(100).stdout == b""


async def test_an_exec_without_a_log_loses_nothing_before_anyone_listens(world: World) -> None:
    container = await world.run(*SLEEP)
    for number in range(3):
        spec = ProcessSpec(args=list(shell(f"echo {number}; exit {number}")))
        added = await bounded(container.exec(f"e{number}", spec, UNLOGGED))
        assert code_of(await end_of(added)) == number
        assert await unlogged(added.streams.unlogged(whole=True)) == (b"%d\n" % number, b"")


async def test_an_exec_without_a_log_that_cannot_run_starts_nothing(world: World) -> None:
    container = await world.run(*SLEEP)
    with pytest.raises(RuntimeFailed) as refused:
        await bounded(container.exec("e1", ProcessSpec(args=["/bin/nothing"]), UNLOGGED))
    assert refused.value.details["exit_code"] == 127
    assert [each.id for each in container.processes()] == ["init"]


async def test_what_nobody_reads_falls_out_and_withholds_nothing(real: World) -> None:
    size = 4_000_000
    container = await real.create(*shell(f"head -c {size} /dev/zero; echo end"), io=UNLOGGED)
    source = container.init.streams.unlogged()
    await bounded(container.start())
    assert_ended(await end_of(container.init), 0)
    first = await bounded(source.read(1000))
    assert isinstance(first, Missing)
    assert first.count > size // 2
    out, _ = await unlogged(source)
    assert first.count + len(out) == size + 4
    assert out.endswith(b"\0end\n")


async def test_both_ways_at_once_is_exact(crun: World) -> None:
    """As much as the ring holds many times over: the reader is faster than the loss."""
    container = await crun.create(*CAT, io=Io(stdin=True, log=False))
    streams, data = container.init.streams, os.urandom(8_000_000)
    source = streams.unlogged()
    streams.open_input()
    await bounded(container.start())

    async def feed() -> None:
        for start in range(0, len(data), 32_768):
            await streams.write(data[start : start + 32_768])
        streams.end_input()

    feeding = asyncio.ensure_future(feed())
    back = hashlib.sha256()
    while (piece := await bounded(source.read(1 << 20))) is not None:
        assert isinstance(piece, Piece), piece
        for chunk in piece.chunks:
            back.update(chunk.data)
    await bounded(feeding)
    assert back.digest() == hashlib.sha256(data).digest()
    assert_ended(await end_of(container.init), 0)


async def test_a_program_that_does_not_read_holds_its_writer_and_nothing_else(real: World) -> None:
    container = await real.run(*SLEEP, io=ONCE)
    streams = container.init.streams
    streams.open_input()
    writing = asyncio.ensure_future(streams.write(bytes(4_000_000)))
    done, _ = await asyncio.wait([writing], timeout=0.5)
    assert not done
    container.init.signal(signal.SIGKILL)
    assert_ended(await end_of(container.init), signal.SIGKILL)
    await bounded(writing)  # dropped: the process is over


async def test_a_user_of_the_input_withholds_neither_log_nor_end(real: World) -> None:
    """Its connection gets all output, too, and nobody wants it there."""
    container = await real.create(*shell("head -c 1000000 /dev/zero; exit 4"), io=ONCE)
    container.init.streams.open_input()
    await bounded(container.start())
    assert_ended(await end_of(container.init), 4 << 8)
    assert len(container.init.output(2_000_000).stdout) == 1_000_000


async def test_without_a_monitor_input_is_refused_and_output_ends(real: World) -> None:
    container = await real.create(*SLEEP, io=Io(stdin=True, log=False))
    source = container.init.streams.unlogged()
    container.init.streams.open_input()
    await bounded(container.start())
    kill(container.init.trace.monitor.pid)
    assert await unlogged(source) == (b"", b"")
    with pytest.raises(WrongState, match="monitor is gone"):
        await bounded(container.init.streams.write(b"x"))
    assert real.kernel and real.kernel.lives(container.pid)


async def test_the_agents_death_ends_the_stdin_that_is_used_once(world: World) -> None:
    container = await world.run(*CAT, io=ONCE)
    streams = container.init.streams
    streams.open_input()
    await bounded(streams.write(b"before\n"))
    await printed(container.init, b"before\n")
    traces = [each.trace for each in container.processes()]
    container.close()
    again = world.keep(await bounded(world.new_life().reattach(world.plans[container.id], traces)))
    assert code_of(await end_of(again.init)) == 0  # perhaps over before anyone could watch
    assert again.init.streams.input_over


async def test_a_new_life_writes_on_where_stdin_is_kept(world: World) -> None:
    container = await world.run(*CAT, io=KEPT)
    added = await bounded(container.exec("e1", ProcessSpec(args=list(CAT)), KEPT))
    for process in (container.init, added):
        process.streams.open_input()
        await bounded(process.streams.write(b"before\n"))
    traces = [each.trace for each in container.processes()]
    container.close()
    again = world.keep(await bounded(world.new_life().reattach(world.plans[container.id], traces)))
    for process in again.processes():
        process.streams.open_input()
        await bounded(process.streams.write(b"after\n"))
        await printed(process, b"before\nafter\n")


async def test_a_new_life_may_use_the_stdin_that_nobody_used(world: World) -> None:
    container = await world.run(*CAT, io=ONCE)
    traces = [each.trace for each in container.processes()]
    container.close()
    again = world.keep(await bounded(world.new_life().reattach(world.plans[container.id], traces)))
    again.init.streams.open_input()
    await bounded(again.init.streams.write(b"late\n"))
    again.init.streams.end_input()
    assert_ended(await end_of(again.init), 0)
    assert again.init.output(10).stdout == b"late\n"


async def test_a_new_life_reads_on_without_a_log(real: World) -> None:
    container = await real.run(*CAT, io=Io(stdin=True, stdin_once=False, log=False))
    traces = [each.trace for each in container.processes()]
    container.close()
    again = real.keep(await bounded(real.new_life().reattach(real.plans[container.id], traces)))
    source = again.init.streams.unlogged()
    again.init.streams.open_input()
    await bounded(again.init.streams.write(b"on\n"))
    piece = await bounded(source.read(10))
    assert isinstance(piece, Piece)
    assert [(each.stream, each.data) for each in piece.chunks] == [(StreamName.STDOUT, b"on\n")]
