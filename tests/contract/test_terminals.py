"""Terminals: a real one in the container, with its size, its keys and its signals."""

from __future__ import annotations

import asyncio
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
    process,
    shell,
    unlogged,
)
from tests.support.eventually import eventually

from wharfside_agent.ports.io import Piece
from wharfside_agent.ports.process import Process
from wharfside_agent.ports.watcher import MonitorGone
from wharfside_agent.runtime import ctl
from wharfside_protocol.errors import RuntimeFailed
from wharfside_protocol.io_commands import TerminalSize
from wharfside_protocol.specs import Io, ProcessSpec

TTY = Io(tty=True)
CTRL_C, CTRL_D = b"\x03", b"\x04"


def shown(process: Process) -> bytes:
    return process.output(100_000).stdout


async def on_screen(process: Process, part: bytes) -> None:
    await eventually(lambda: part in shown(process), f"{part!r} on the terminal")


async def test_init_has_the_size_that_was_set_before_its_start(world: World) -> None:
    container = await world.create("/bin/stty", "size", io=TTY)
    await bounded(container.init.streams.resize(50, 200))
    await bounded(container.start())
    assert_ended(await end_of(container.init), 0)
    assert shown(container.init) == b"50 200\r\n"


@pytest.mark.parametrize("log", [True, False])
async def test_an_exec_has_its_size_and_all_its_output(world: World, log: bool) -> None:
    """crun sets the size beside the program's start (runc before it): it comes with SIGWINCH."""
    container = await world.run(*SLEEP)
    patient = shell("until stty size 2>&- | grep '30 90'; do :; done")
    args = patient if world.name == "crun" else ("/bin/stty", "size")
    spec, size = ProcessSpec(args=list(args)), TerminalSize(rows=30, columns=90)
    added = await bounded(container.exec("e1", spec, Io(tty=True, log=log), size))
    assert code_of(await end_of(added)) == 0
    out = shown(added) if log else (await unlogged(added.streams.unlogged(whole=True)))[0]
    assert out == b"30 90\r\n"


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(("program", "code"), [("nothing", 127), ("/bin/not-executable", 126)])
async def test_an_exec_that_cannot_run_says_why(
    world: World, program: str, code: int, log: bool
) -> None:
    container = await world.run(*SLEEP)
    with pytest.raises(RuntimeFailed) as refused:
        await bounded(container.exec("e1", ProcessSpec(args=[program]), Io(tty=True, log=log)))
    assert refused.value.details["exit_code"] == code
    assert [each.id for each in container.processes()] == ["init"]


async def test_all_three_streams_are_the_terminal(real: World) -> None:
    script = "test -t 0 && test -t 1 && test -t 2 && echo $TERM; echo err >&2"
    container = await real.run(*shell(script), io=TTY)
    assert_ended(await end_of(container.init), 0)
    assert shown(container.init) == b"xterm\r\nerr\r\n"
    assert container.init.output(10).stderr == b""
    assert container.init.spec["terminal"] is True


async def test_a_term_that_is_given_is_kept(real: World) -> None:
    plan = real.plan(*shell("echo $TERM"), env=("TERM=vt100",), io=TTY)
    container = await real.create_as(plan)
    await bounded(container.start())
    await end_of(container.init)
    assert shown(container.init) == b"vt100\r\n"


async def test_a_new_size_is_told_to_the_program(real: World) -> None:
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"
    container = await real.run(*shell(script), io=TTY)
    await on_screen(container.init, b"ready\r\n")
    await bounded(container.init.streams.resize(24, 80))
    await on_screen(container.init, b"24 80\r\n")
    await bounded(container.init.streams.resize(50, 200))
    await on_screen(container.init, b"50 200\r\n")


async def test_of_many_sizes_the_last_one_stays(real: World) -> None:
    """conmon would take lines that come together for the first of them."""
    container = await real.run(*SLEEP, io=TTY)
    sizes = [(rows, rows * 3) for rows in range(20, 60)]
    await bounded(asyncio.gather(*(container.init.streams.resize(*size) for size in sizes)))
    for rows, columns in sizes[:10]:
        await bounded(container.init.streams.resize(rows, columns))
    added = await bounded(container.exec("e1", process("stty size < /proc/1/fd/0")))
    await end_of(added)
    assert shown(added) == b"29 87\n"


async def test_keys_are_echoed_edited_and_ended(real: World) -> None:
    container = await real.run("/bin/cat", io=TTY)
    streams = container.init.streams
    streams.open_input()
    await bounded(streams.write(b"helo\x7fp\n"))
    await on_screen(container.init, b"help\r\n")
    streams.end_input()
    assert not streams.input_over
    streams.open_input()
    await bounded(streams.write(CTRL_D))
    assert_ended(await end_of(container.init), 0)


async def test_ctrl_c_is_a_signal(real: World) -> None:
    container = await real.run(*shell("trap 'echo caught; exit 9' INT; echo ready; read x"), io=TTY)
    await on_screen(container.init, b"ready")
    container.init.streams.open_input()
    await bounded(container.init.streams.write(CTRL_C))
    assert_ended(await end_of(container.init), 9 << 8)
    assert b"caught" in shown(container.init)


async def test_a_terminal_hangs_up_its_programs(real: World) -> None:
    """As init of a session ends, so does what still has its terminal."""
    container = await real.run(*SLEEP)
    added = await bounded(container.exec("e1", process("sleep 1000 & exit 5"), TTY))
    assert code_of(await end_of(added)) == 5


@pytest.mark.parametrize("log", [True, False])
async def test_a_program_that_does_not_read_its_terminal_can_be_ended(
    real: World, log: bool
) -> None:
    """conmon must not wait in a write to the terminal, or nobody would see the end."""
    container = await real.run(*SLEEP)
    io = Io(tty=True, log=log)
    added = await bounded(container.exec("e1", process("stty raw; echo raw; sleep 1000"), io))
    added.streams.open_input()
    await said(added, b"raw\n")  # until then the kernel drops what is too long for a line
    writing = asyncio.ensure_future(added.streams.write(b"x" * 2_000_000))
    done, _ = await asyncio.wait([writing], timeout=0.5)
    assert not done
    added.signal(signal.SIGKILL)
    assert code_of(await end_of(added)) == 137
    await bounded(writing)


async def said(process: Process, whole: bytes) -> None:
    """Waits for all that it has on its terminal, logged or not."""
    if process.streams.io.log:
        await eventually(lambda: shown(process) == whole, f"{whole!r} on the terminal")
    else:
        piece = await bounded(process.streams.unlogged(whole=True).read(len(whole)))
        assert isinstance(piece, Piece)
        assert piece.chunks[0].data == whole


async def test_a_new_life_has_the_terminal_still(real: World) -> None:
    container = await real.run("/bin/sh", io=TTY)
    container.init.streams.open_input()
    traces = [each.trace for each in container.processes()]
    container.close()
    again = real.keep(await bounded(real.new_life().reattach(real.plans[container.id], traces)))
    await bounded(again.init.streams.resize(33, 99))
    again.init.streams.open_input()
    await bounded(again.init.streams.write(b"stty size; exit 6\n"))
    assert_ended(await end_of(again.init), 6 << 8)
    assert b"33 99\r\n" in shown(again.init)


async def test_a_size_for_a_monitor_that_hangs_or_is_gone_is_refused(
    crun: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctl, "SECONDS", 0.1)
    container = await crun.run(*SLEEP, io=TTY)
    monitor = container.init.trace.monitor.pid
    os.kill(monitor, signal.SIGSTOP)
    with pytest.raises(RuntimeFailed, match="does not read"):
        await bounded(container.init.streams.resize(24, 80))
    os.kill(monitor, signal.SIGCONT)
    kill(monitor)
    gone = await bounded(container.init.watch.next())
    assert isinstance(gone, MonitorGone)
    with pytest.raises(RuntimeFailed, match="conmon is gone"):
        await bounded(container.init.streams.resize(24, 80))
