"""Logs by conmon itself: rotated while it writes as fast as it can, and never a byte lost."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import termios
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.contract.worlds import SLEEP, World, bounded, end_of, shell
from tests.support.eventually import eventually

from wharfside_agent.ports.io import Missing, Piece, Source
from wharfside_agent.ports.logs import LogName, LogWish
from wharfside_agent.ports.process import Process
from wharfside_agent.ports.runtime import Container
from wharfside_agent.runtime.log_rotation import LogLimits
from wharfside_protocol.specs import ProcessSpec

SMALL = LogLimits(max_bytes=128 * 1024, max_files=1000)
COUNT = 40_000
"""Lines, some 2 MB of log."""


@dataclass
class Got:
    """What a reader was given."""

    text: bytearray = field(default_factory=bytearray)
    lost: int = 0
    offset: int = 0

    async def take(self, source: Source, most: int = 32 * 1024) -> Got:
        """To its end."""
        while (piece := await bounded(source.read(most))) is not None:
            self.add(piece)
        source.close()
        return self

    def add(self, piece: object) -> None:
        assert isinstance(piece, Piece | Missing) and piece.position is not None
        passed, self.offset = piece.position.offset - self.offset, piece.position.offset
        if isinstance(piece, Missing):
            assert piece.count == passed
            self.lost += piece.count
        else:
            self.text += b"".join(chunk.data for chunk in piece.chunks)


def name_of(world: World, process: Process) -> LogName:
    plan = world.plans[process.container.id]
    return LogName(plan.incarnation, plan.run, process.id)


def files_of(world: World, name: LogName) -> list[Path]:
    assert world.kit is not None
    folder = world.kit.places.logs / name.incarnation.lower()
    found = folder.glob(f"{name.run}-{name.process}.log*")
    return sorted(path for path in found if path.suffix != ".tmp")


PHASES = 4
EACH = COUNT // PHASES
PRINTER = shell(
    f"n=0; step() {{ n=$((n + 1)); seq $(((n - 1) * {EACH} + 1)) $((n * {EACH}));"
    f"seq $(((n - 1) * {EACH} + 1)) $((n * {EACH})) >&2; }};"
    f"trap step USR1; step; while [ $n -lt {PHASES} ]; do sleep 0.02; done"
)
"""Counts on both streams in phases, each more than one file, and goes on when it is told to."""


async def rotated(world: World, process: Process) -> None:
    """A PRINTER comes to its end, with a rotation in each phase but the last."""
    name, seen = name_of(world, process), 0
    for phase in range(1, PHASES):
        await eventually(partial(has_last, world, name, phase * EACH), f"phase {phase}")
        await eventually(lambda seen=seen: newest(world, name) > seen, "it is rotated")
        seen = newest(world, name)
        os.kill(process.pid, signal.SIGUSR1)
    await over(process)


def has_last(world: World, name: LogName, number: int) -> bool:
    return any(text_of(path).endswith(b" stderr F %d\n" % number) for path in files_of(world, name))


def bytes_of(world: World, name: LogName) -> int:
    return sum(len(text_of(path)) for path in files_of(world, name))


def text_of(path: Path) -> bytes:
    """Rotation may have renamed or removed it since it was listed."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def newest(world: World, name: LogName) -> int:
    """Where the newest rotated file begins, and 1 more; 0: there is none."""
    ends = (path.suffix[1:] for path in files_of(world, name))
    return max((int(end) + 1 for end in ends if end.isdecimal()), default=0)


def numbers(first: int, last: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(first, last + 1))


async def over(process: Process) -> None:
    """As the agent does it: told, then let go."""
    await end_of(process)
    process.close()


async def test_a_follower_has_every_byte_through_rotation(crun: World) -> None:
    crun.limit_logs(SMALL)
    container = await crun.create(*PRINTER)
    name = name_of(crun, container.init)
    sources = [
        crun.logs.source(name, LogWish(follow=True, stderr=False)),
        crun.logs.source(name, LogWish(follow=True, stdout=False, times=True)),
    ]
    taking = [asyncio.ensure_future(Got().take(source)) for source in sources]
    await bounded(container.start())
    await rotated(crun, container.init)
    for got in [await bounded(each) for each in taking]:
        assert (bytes(got.text), got.lost) == (numbers(1, COUNT), 0)
    assert got.offset == crun.logs.end(name)


async def test_a_reader_after_the_end_has_what_is_kept_and_the_count_of_the_rest(
    crun: World,
) -> None:
    crun.limit_logs(LogLimits(max_bytes=SMALL.max_bytes, max_files=2))
    container = await crun.run(*PRINTER)
    await rotated(crun, container.init)
    name = name_of(crun, container.init)
    got = Got()

    async def settled() -> bool:
        """The end of its process may have come in the midst of the removal of a file."""
        nonlocal got
        got = await Got().take(crun.logs.source(name, LogWish(stdout=False)))
        kept = crun.logs.end(name) - got.lost
        return bytes_of(crun, name) == kept and len(files_of(crun, name)) <= 2

    await eventually(settled, "what is not kept is removed, and told as lost")
    assert got.lost > 0 and numbers(1, COUNT).endswith(got.text) and got.text
    head = container.init.output(10)
    assert head.stdout_truncated and head.stderr_truncated


async def test_a_follower_that_is_too_slow_is_told_what_it_missed(crun: World) -> None:
    crun.limit_logs(LogLimits(max_bytes=SMALL.max_bytes, max_files=2))
    container = await crun.run(*PRINTER)
    name = name_of(crun, container.init)
    source, got = crun.logs.source(name, LogWish(follow=True)), Got()
    got.add(await bounded(source.read(100)))
    await rotated(crun, container.init)
    await got.take(source)
    assert got.lost > 0 and got.offset == crun.logs.end(name)
    told = [int(each) for each in got.text.split()]
    assert told[0] == 1 and told[-1] == COUNT and len(told) < 2 * COUNT


async def test_who_reads_has_the_whole_log_also_when_its_container_is_deleted(
    crun: World,
) -> None:
    """`run --rm` of what prints faster than its reader is."""
    crun.limit_logs(SMALL)
    container = await crun.run(*PRINTER)
    name = name_of(crun, container.init)
    source, got = crun.logs.source(name, LogWish(follow=True, stderr=False)), Got()
    got.add(await bounded(source.read(100)))
    await rotated(crun, container.init)
    await bounded(container.delete())
    assert files_of(crun, name) == []
    await got.take(source)
    assert (bytes(got.text), got.lost) == (numbers(1, COUNT), 0)


async def test_an_exec_has_a_log_of_its_own_that_is_rotated_too(crun: World) -> None:
    crun.limit_logs(SMALL)
    container = await crun.run(*SLEEP)
    added = await bounded(container.exec("e1", ProcessSpec(args=list(PRINTER))))
    await rotated(crun, added)
    got = await Got().take(crun.logs.source(name_of(crun, added), LogWish(stderr=False)))
    assert (bytes(got.text), got.lost) == (numbers(1, COUNT), 0)
    assert crun.logs.end(name_of(crun, container.init)) == 0


COUNTER = shell(f"trap 'seq 2 {COUNT}; exit' USR1; echo 1; while :; do sleep 0.05; done")
"""Says 1, and the rest when it is told to."""


async def begun(world: World, got: Got) -> tuple[Container, LogName]:
    """A COUNTER whose agent died after a reader had its first line."""
    container = await world.run(*COUNTER)
    name = name_of(world, container.init)
    source = world.logs.source(name, LogWish(follow=True))
    got.add(await bounded(source.read(100)))
    source.close()
    container.close()
    return container, name


async def next_life(world: World, container: Container) -> Container:
    traces = [process.trace for process in container.processes()]
    return world.keep(await world.new_life().reattach(world.plans[container.id], traces))


async def test_what_grew_without_an_agent_is_rotated_at_once_and_readers_go_on(
    crun: World,
) -> None:
    crun.limit_logs(SMALL)
    got = Got()
    container, name = await begun(crun, got)
    os.kill(container.pid, signal.SIGUSR1)
    (log,) = files_of(crun, name)
    await eventually(lambda: log.stat().st_size > SMALL.max_bytes, "it has grown")
    found = await next_life(crun, container)
    await over(found.init)
    await got.take(crun.logs.source(name, LogWish(offset=got.offset)))
    assert (bytes(got.text), got.lost) == (numbers(1, COUNT), 0)


async def test_a_rotation_that_an_agent_died_in_is_finished(crun: World) -> None:
    """Renamed, and conmon was never told."""
    crun.limit_logs(SMALL)
    got = Got()
    container, name = await begun(crun, got)
    (log,) = files_of(crun, name)
    log.rename(f"{log}.0")
    found = await next_life(crun, container)
    source = crun.logs.source(name, LogWish(offset=got.offset, follow=True))
    taking = asyncio.ensure_future(got.take(source))
    await eventually(log.exists, "conmon writes the next file")
    os.kill(found.pid, signal.SIGUSR1)
    await over(found.init)
    await bounded(taking)
    assert (bytes(got.text), got.lost) == (numbers(1, COUNT), 0)


async def test_a_monitor_that_cannot_hear_rotates_when_it_can(crun: World) -> None:
    """A stopped conmon has the line unread: a second one would cost what lies between."""
    crun.limit_logs(SMALL)
    got = Got()
    container, name = await begun(crun, got)
    monitor = container.init.trace.monitor.pid
    os.kill(monitor, signal.SIGSTOP)
    control = container.bundle / "ctl"
    (log,) = files_of(crun, name)
    for _life in range(3):
        if log.exists():
            log.rename(f"{log}.0")
        found = await next_life(crun, container)
        await eventually(partial(unread, control), "it was told")
        found.close()
    found = await next_life(crun, container)
    assert unread(control) == len(b"2 0 0\n")
    os.kill(monitor, signal.SIGCONT)
    os.kill(found.pid, signal.SIGUSR1)
    await over(found.init)
    await got.take(crun.logs.source(name, LogWish(offset=got.offset)))
    assert (bytes(got.text), got.lost) == (numbers(1, COUNT), 0)


async def test_what_ends_in_mid_rotation_has_no_file_too_many(crun: World) -> None:
    """And its agent with it: nobody comes to remove the oldest one."""
    crun.limit_logs(LogLimits(max_bytes=SMALL.max_bytes, max_files=2))
    container = await crun.run(*COUNTER)
    name = name_of(crun, container.init)
    monitor = container.init.trace.monitor.pid
    (log,) = files_of(crun, name)
    await eventually(lambda: log.stat().st_size > 0, "its first line")
    fill(log)
    await eventually(lambda: newest(crun, name) > 0 and log.exists(), "it is rotated")
    os.kill(monitor, signal.SIGSTOP)
    seen = newest(crun, name)
    fill(log)
    await eventually(lambda: newest(crun, name) > seen, "it is renamed")
    await eventually(partial(unread, container.bundle / "ctl"), "conmon was told")
    container.close()
    os.kill(container.pid, signal.SIGKILL)
    os.kill(monitor, signal.SIGCONT)
    await eventually(lambda: crun.kernel and not crun.kernel.lives(monitor), "conmon ends")
    assert len(files_of(crun, name)) <= 2


def fill(log: Path) -> None:
    """As large as a file may be."""
    with log.open("ab") as file:
        file.write(b"2026-01-31T09:00:00.000000000Z stdout F x\n" * (SMALL.max_bytes // 40))


def unread(fifo: Path) -> int:
    fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))
        return int(count)
    finally:
        os.close(fd)
