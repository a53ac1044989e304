"""Wharfside as a contender: one node and one orchestrator, over a real server.

The scenarios see nothing of agent or client but this.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from itertools import count as counter
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed
from tests.bench import io_load, outbox_load, rpc_load
from tests.bench.contenders import fresh_name
from tests.bench.node_process import NodeProcess
from tests.bench.orchestrator import Orchestrator, in_parallel, open_orchestrator
from tests.bench.places import Places

from wharfside_client import NodeUnreachable, container
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.events import EventType

T = TypeVar("T")

READY_SECONDS = 30
CALL_SECONDS = 180
PARALLEL = 8
_nodes = counter(1)


class Cycle(NamedTuple):
    """Seconds until the checkpoint was answered, then the restore; of the first it stood still."""

    dumped: float
    restored: float
    frozen: float


class NotReady(Exception):
    """Ours cannot be measured: the agent does not come up; its own words say why."""


class Ours:
    """A node of its own name on `server`, with a client in this process.

    A context: entering makes the streams, starts the agent and waits until it answers;
    leaving deletes every container, ends the agent and removes its folders. The client's
    loop runs only inside calls.
    """

    name = "ours"

    def __init__(self, server: str, places: Places) -> None:
        self.node = f"bench-{next(_nodes)}"
        self._server = server
        self._process = NodeProcess(self.node, server, places)
        self._true = places.bundle("true")
        self._rootfs = places.rootfs

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        try:
            self._remote: Orchestrator = self._run(
                open_orchestrator(self._stack, self._server, self.node)
            )
            self._process.start()
            self._run(self._answering())
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        try:
            # a node that no longer answers is swept all the same
            with suppress(WharfsideError):
                self._run(self._remote.delete_all(PARALLEL))
        finally:
            self._leave()

    def once(
        self, bundle: Path | None = None, started: Callable[[int], None] | None = None
    ) -> float:
        """Seconds from sending `run` until `exited` has arrived here; deleted after that.

        `bundle` is the plain `true` where None; `started` is told the pid of init.
        """
        name = fresh_name("o")
        seconds = self._run(self._remote.life(name, bundle or self._true, started))
        self._run(self._remote.delete(name))
        return seconds

    def many(self, count: int, parallel: int) -> float:
        """Containers a second, `parallel` at a time: run, exited and deleted."""

        async def whole() -> None:
            name = fresh_name("m")
            await self._remote.life(name, self._true)
            await self._remote.delete(name)

        before = perf_counter()
        self._run(in_parallel([whole] * count, parallel))
        return count / (perf_counter() - before)

    def noop_latencies(self, count: int) -> list[float]:
        """Seconds of each of `count` pings, one after the other."""
        return self._run(rpc_load.latencies(self._remote.node.ping, count))

    def noop_rate(self, count: int, callers: int) -> float:
        """Pings a second, `callers` at a time."""
        return self._run(rpc_load.throughput(self._remote.node.ping, count, callers))

    def hold(self, count: int, bundle: Path) -> list[str]:
        """The names of `count` more containers that now run at once, until the node is left."""
        names = [fresh_name("h") for _ in range(count)]
        self._run(self._remote.start_all(names, bundle, PARALLEL))
        return names

    def config_of(self, bundle: Path) -> dict[str, Any]:
        """What the runtime is given for `bundle`, which is one that goes on running."""
        name = fresh_name("c")
        self._run(self._remote.start_all([name], bundle, 1))
        config = self._process.config_of(name)
        self._run(self._remote.delete(name))
        return config

    def agent_pid(self) -> int:
        return self._process.pid

    def monitor_pids(self) -> list[int]:
        """The conmons of all that runs."""
        return self._process.monitors()

    def restart_agent(self, running: list[str]) -> float:
        """SIGKILL and start: seconds from the start until the last `reattached` arrived here."""
        self._process.end(signal.SIGKILL)

        async def restart() -> float:
            all_told = [self._remote.expect(name, EventType.REATTACHED) for name in running]
            before = perf_counter()
            self._process.start()
            return max(await self._or_death(asyncio.gather(*all_told))) - before

        return self._run(restart())

    def events_rate(self, count: int, half_way: Callable[[], None] | None = None) -> float:
        """Events a second, by the stream's own times, from a full outbox of `count` on.

        `half_way` is called when the stream has half of them.

        Raises:
            EventsMissing: the stream does not hold every one of them just once.
        """
        self._process.end()
        known = self._run(outbox_load.last_stored(self._server))
        self._run(outbox_load.fill(self._process.store, self.node, count))
        self._process.start()
        sent = outbox_load.Sent(self.node, known, count)
        return self._run(outbox_load.drained(self._server, self._remote.client, sent, half_way))

    def attach_rate(self, args: tuple[str, ...], *, log: bool) -> io_load.Carried:
        """Of all that `args` print, through an attach from the start on."""
        spec = io_load.printing(fresh_name("a"), self._rootfs, args, log=log)
        return self._run(io_load.attach_rate(self._remote, spec))

    def exec_rate(self, running: str, args: tuple[str, ...]) -> io_load.Carried:
        """Of all that `args` print, run in a container that runs already."""
        return self._run(io_load.exec_rate(self._remote, running, args))

    def key_echoes(self, count: int) -> list[float]:
        """Seconds from a key to its echo by a container's terminal."""
        io = {"stdin": True, "tty": True}
        spec = io_load.printing(fresh_name("t"), self._rootfs, io_load.ECHOES_KEYS, **io)
        return self._run(io_load.key_echoes(self._remote, spec, count))

    def follow_latencies(self, count: int) -> list[float]:
        """Seconds from a line of a container to its arrival at a follower of the log."""
        spec = io_load.printing(fresh_name("l"), self._rootfs, io_load.ECHOES_LINES)
        return self._run(io_load.follow_latencies(self._remote, spec, count))

    def flood(
        self, args: tuple[str, ...], other: str, started: Callable[[int], None]
    ) -> io_load.Flood:
        """`args` print all they have to readers that are stuck, while `other` is asked."""
        spec = io_load.printing(fresh_name("f"), self._rootfs, args, stdin=True)
        return self._run(io_load.flood(self._remote, spec, other, started))

    def hold_checkpointable(self, bundle: Path) -> tuple[str, int]:
        """One that runs until the node is left; its name, and the pid of init."""
        name = fresh_name("k")

        async def run() -> int:
            spec = container(name, bundle=str(bundle), checkpointable=True)
            return (await self._remote.node.run(spec)).pid or 0

        return name, self._run(run())

    def checkpoint_cycle(self, name: str) -> Cycle:
        """Kept, which ends it, and gone on with."""
        node, checkpoint = self._remote.node, fresh_name("p")

        async def cycle() -> Cycle:
            before = perf_counter()
            taken = await node.checkpoint(name, checkpoint, exit=True)
            dumped = perf_counter()
            await node.restore(name, checkpoint)
            restored = perf_counter()
            await node.delete_checkpoint(name, checkpoint)
            return Cycle(dumped - before, restored - dumped, taken.frozen_us / 1e6)

        return self._run(cycle())

    async def _answering(self) -> None:
        """Until the node answers a ping.

        Raises:
            NotReady: the agent has ended, or READY_SECONDS are over.
        """

        @retry(
            retry=retry_if_exception_type(NodeUnreachable),
            stop=stop_after_delay(READY_SECONDS),
            wait=wait_fixed(0.05),
            reraise=True,
        )
        async def ask() -> None:
            if self._process.ended() is not None:
                raise NotReady(f"the agent ended: {self._process.last_words()}")
            await self._remote.node.ping(unreachable_s=0.1)

        try:
            await ask()
        except NodeUnreachable as error:
            words = self._process.last_words()
            raise NotReady(f"no answer within {READY_SECONDS} s: {words}") from error

    async def _or_death(self, work: Awaitable[T]) -> T:
        """`work`, unless the agent ends first.

        Raises:
            NotReady: it has ended; its last words say why.
        """
        loop = asyncio.get_running_loop()
        pidfd = os.pidfd_open(self._process.pid)
        ended = asyncio.Event()
        loop.add_reader(pidfd, ended.set)
        doing, death = asyncio.ensure_future(work), asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({doing, death}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise NotReady(f"the agent ended: {self._process.last_words()}")
            return await doing
        finally:
            doing.cancel()
            death.cancel()
            loop.remove_reader(pidfd)
            os.close(pidfd)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(CALL_SECONDS):
                return await work

        return self._runner.run(bounded())

    def _leave(self) -> None:
        try:
            self._run(self._stack.aclose())
        finally:
            self._runner.close()
            self._process.remove()
