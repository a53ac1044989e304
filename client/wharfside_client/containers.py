"""The ops on a node's containers, each by the container's name."""

from __future__ import annotations

import asyncio
import math
from typing import Unpack

from wharfside_client.calls import UNREACHABLE_S, Options
from wharfside_client.ops import Ops
from wharfside_protocol.command_base import ContainerArgs, InspectArgs
from wharfside_protocol.commands import (
    CreateArgs,
    CreateValue,
    DeleteArgs,
    DeleteValue,
    ExecArgs,
    ExecValue,
    ProcessesValue,
    SignalArgs,
    StateValue,
    StatsValue,
    StopArgs,
    UpdateArgs,
    WaitArgs,
    WaitValue,
)
from wharfside_protocol.errors import DeadlineExceeded
from wharfside_protocol.specs import Io, Limits, ProcessSpec
from wharfside_protocol.states import INIT
from wharfside_protocol.views import ContainerDetails, ProcessView

WAIT_SLICE_S = 8.0
"""One `wait` asks for so long at most: after an agent's restart the next one finds it."""
WAIT_UNREACHABLE_S = 60.0
"""A waiter that has reached the node once outlasts a restart of the agent."""
DEFAULT_GRACE_S = 10.0
STOP_EXTRA_S = 30.0
EXEC_S = 24 * 3600.0


class ContainerOps(Ops):
    """See `Node` for what every call takes and raises."""

    async def create(self, args: CreateArgs, **options: Unpack[Options]) -> CreateValue:
        """`wharfside_client.specs.container` makes the arguments from plain values."""
        return await self._call("create", args, CreateValue, options)

    async def run(self, args: CreateArgs, **options: Unpack[Options]) -> CreateValue:
        """Creates and starts."""
        return await self._call("run", args, CreateValue, options)

    async def start(self, container: str, **options: Unpack[Options]) -> StateValue:
        return await self._call("start", ContainerArgs(container=container), StateValue, options)

    async def exec(
        self,
        container: str,
        process: ProcessSpec,
        *,
        id: str | None = None,
        wait: bool = True,
        limit_s: float | None = None,
        io: Io | None = None,
        **options: Unpack[Options],
    ) -> ExecValue:
        """Runs a process in a running container.

        With `wait` its exit and up to 64 KiB of each stream come back, however long it
        takes (bound it with `timeout_s`). The node kills it after `limit_s`.
        """
        if wait and not options.get("durable"):
            options.setdefault("timeout_s", EXEC_S)
        args = ExecArgs(
            container=container,
            process=process,
            io=io or Io(),
            exec=id,
            wait=wait,
            timeout_s=limit_s,
        )
        return await self._call("exec", args, ExecValue, options)

    async def signal(
        self,
        container: str,
        signal: str = "TERM",
        *,
        process: str = INIT,
        **options: Unpack[Options],
    ) -> StateValue:
        args = SignalArgs(container=container, signal=signal, process=process)
        return await self._call("signal", args, StateValue, options)

    async def stop(
        self,
        container: str,
        *,
        signal: str | None = None,
        grace_s: float | None = None,
        **options: Unpack[Options],
    ) -> WaitValue:
        """The signal, the grace, KILL; answers when it has ended, with its exit."""
        grace = DEFAULT_GRACE_S if grace_s is None else grace_s
        if not options.get("durable"):
            options.setdefault("timeout_s", grace + STOP_EXTRA_S)
        args = StopArgs(container=container, signal=signal, grace_s=grace_s)
        return await self._call("stop", args, WaitValue, options)

    async def pause(self, container: str, **options: Unpack[Options]) -> StateValue:
        return await self._call("pause", ContainerArgs(container=container), StateValue, options)

    async def resume(self, container: str, **options: Unpack[Options]) -> StateValue:
        return await self._call("resume", ContainerArgs(container=container), StateValue, options)

    async def update(
        self, container: str, limits: Limits, **options: Unpack[Options]
    ) -> StateValue:
        """Changes the limits that are given, on the fly."""
        args = UpdateArgs(container=container, limits=limits)
        return await self._call("update", args, StateValue, options)

    async def delete(
        self, container: str, *, force: bool = False, **options: Unpack[Options]
    ) -> DeleteValue:
        args = DeleteArgs(container=container, force=force)
        return await self._call("delete", args, DeleteValue, options)

    async def inspect(
        self, container: str, *, incarnation: str | None = None, **options: Unpack[Options]
    ) -> ContainerDetails:
        """With `incarnation`: also one that is deleted, for 24 h."""
        args = InspectArgs(container=container, incarnation=incarnation)
        return await self._call("inspect", args, ContainerDetails, options)

    async def list_processes(self, container: str, **options: Unpack[Options]) -> list[ProcessView]:
        args = ContainerArgs(container=container)
        return (await self._call("list-processes", args, ProcessesValue, options)).processes

    async def stats(self, container: str, **options: Unpack[Options]) -> StatsValue:
        return await self._call("stats", ContainerArgs(container=container), StatsValue, options)

    async def wait(
        self,
        container: str,
        *,
        process: str = INIT,
        incarnation: str | None = None,
        run: int | None = None,
        output: bool = False,
        timeout_s: float | None = None,
    ) -> WaitValue:
        """The exit of a process, asked for again and again until it is there.

        `timeout_s` None: as long as the node answers that it still runs. `run` may be an
        older one. What is waited for stays the same incarnation and run, also when the
        container is started anew, or its name is taken.

        Raises:
            DeadlineExceeded: it still runs after `timeout_s`; `stage` is `running`.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + (math.inf if timeout_s is None else timeout_s)
        unreachable_s = UNREACHABLE_S if incarnation is None else WAIT_UNREACHABLE_S
        while True:
            slice_s = max(0.0, min(WAIT_SLICE_S, end - loop.time()))
            args = WaitArgs(
                container=container,
                incarnation=incarnation,
                process=process,
                run=run,
                timeout_s=slice_s,
                output=output,
            )
            bounds = Options(timeout_s=slice_s + WAIT_UNREACHABLE_S, unreachable_s=unreachable_s)
            value = await self._call("wait", args, WaitValue, bounds)
            if value.exit is not None:
                return value
            if loop.time() >= end:
                raise DeadlineExceeded(
                    f"{container} still runs after {timeout_s:g} s; wait longer, or stop it",
                    stage="running",
                )
            incarnation, run, unreachable_s = value.incarnation, value.run, WAIT_UNREACHABLE_S
