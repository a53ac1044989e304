"""What our own sessions carry, and how fast: coroutines on one node."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed
from tests.bench.orchestrator import Orchestrator

from wharfside_client import container
from wharfside_client.session import Item, Session
from wharfside_protocol.codec import to_plain
from wharfside_protocol.commands import CreateArgs
from wharfside_protocol.events import EventType
from wharfside_protocol.io_frames import Chunk, Lost, StreamName
from wharfside_protocol.specs import Io, ProcessSpec

PACE_S = 0.01
"""Between two calls that are made beside a flood: a caller, not a load of its own."""
CUE = "dev/cue"
ECHOES_LINES = ("/bin/busybox", "sh", "-c", "busybox mkfifo /dev/cue; exec busybox cat </dev/cue")
ECHOES_KEYS = ("/bin/busybox", "cat")

STUCK: Sequence[tuple[str, dict[str, bool]]] = (
    ("attach", {"stdin": True}),
    ("logs", {"follow": True}),
)
"""The readers that take nothing."""


@dataclass(frozen=True, slots=True)
class Carried:
    """`rate` in bytes a second; `lost`: what the session told to be gone."""

    rate: float
    lost: int


@dataclass(frozen=True, slots=True)
class Flood:
    """`pid`: of the init that printed; `exited`: when its event arrived (perf_counter)."""

    pid: int
    exited: float
    calls: list[float]


async def attach_rate(remote: Orchestrator, spec: CreateArgs) -> Carried:
    """Of all that a container prints, from its start on, through an attach."""
    await remote.node.create(spec)
    try:
        async with remote.node.session("attach", {"container": spec.container}) as session:
            before = perf_counter()
            await remote.node.start(spec.container)
            return await carried(session, before)
    finally:
        await remote.delete(spec.container)


async def exec_rate(remote: Orchestrator, name: str, args: tuple[str, ...]) -> Carried:
    """Of all that an exec prints, asked for and opened in one."""
    process = ProcessSpec(args=list(args))
    plain = {"container": name, "process": to_plain(process), "wait": False}
    before = perf_counter()
    async with remote.node.session("exec", plain) as session:
        return await carried(session, before)


async def key_echoes(remote: Orchestrator, spec: CreateArgs, count: int) -> list[float]:
    """Seconds from a key to its echo by the terminal, one after the other."""
    await remote.node.create(spec)
    size = {"rows": 24, "columns": 80}
    plain = {"container": spec.container, "stdin": True, "size": size}
    try:
        async with remote.node.session("attach", plain) as session:
            await remote.node.start(spec.container)
            return [await _answered(session, lambda: session.write(b"x")) for _ in range(count)]
    finally:
        await remote.delete(spec.container)


async def follow_latencies(remote: Orchestrator, spec: CreateArgs, count: int) -> list[float]:
    """Seconds from a line's way into a container to its arrival at a follower of its log."""
    value = await remote.node.run(spec)
    plain = {"container": spec.container, "follow": True}
    try:
        cue = await _cue(Path(f"/proc/{value.pid}/root") / CUE)
        async with remote.node.session("logs", plain) as session:
            return [await _answered(session, lambda: _print(cue)) for _ in range(count)]
    finally:
        os.close(cue)
        await remote.delete(spec.container)


async def flood(
    remote: Orchestrator, spec: CreateArgs, other: str, started: Callable[[int], None]
) -> Flood:
    """A container prints all that it has to two readers that take nothing; `other` is asked."""
    async with AsyncExitStack() as stack:
        await remote.node.create(spec)
        stack.push_async_callback(remote.delete, spec.container)
        for op, more in STUCK:
            stuck = remote.node.session(op, {"container": spec.container, **more})
            await stack.enter_async_context(stuck)
        exited = asyncio.ensure_future(remote.expect(spec.container, EventType.EXITED))
        value = await remote.node.start(spec.container)
        assert value.pid is not None
        started(value.pid)
        calls = await _calls_until(exited, lambda: remote.node.inspect(other))
        return Flood(value.pid, await exited, calls)


def printing(name: str, rootfs: Path, args: tuple[str, ...], **io: Any) -> CreateArgs:
    return container(name, list(args), rootfs=str(rootfs), io=Io(**io))


async def carried(session: AsyncIterable[Item], before: float) -> Carried:
    """Of stdout, until its last byte has come."""
    count = lost = 0
    after = before
    async for item in session:
        match item:
            case Chunk(stream=StreamName.STDOUT):
                count, after = count + len(item.data), perf_counter()
            case Lost():
                lost += item.count
    return Carried(count / (after - before) if count else 0.0, lost)


async def _answered(session: Session, ask: Callable[[], Awaitable[None]]) -> float:
    before = perf_counter()
    await ask()
    async for item in session:
        if isinstance(item, Chunk):
            return perf_counter() - before
    raise EOFError("the session ended before the echo came")


async def _calls_until(
    over: asyncio.Future[float], call: Callable[[], Awaitable[object]]
) -> list[float]:
    taken = []
    while not over.done():
        before = perf_counter()
        await call()
        taken.append(perf_counter() - before)
        await asyncio.sleep(PACE_S)
    return taken


@retry(
    retry=retry_if_exception_type(FileNotFoundError),
    stop=stop_after_delay(10),
    wait=wait_fixed(0.02),
    reraise=True,
)
async def _cue(path: Path) -> int:
    """The container's FIFO, open for both ways, so that nobody waits for the other."""
    return os.open(path, os.O_RDWR)


async def _print(cue: int) -> None:
    os.write(cue, b"a line of a log, as long as many are: 0123456789\n")
