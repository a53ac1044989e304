"""The main job in six steps. Each does something over NATS, then checks what came of it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.quickstart.failures import QuickstartFailed
from deploy.quickstart.parts import Agent
from deploy.quickstart.screen import Screen
from deploy.quickstart.watch import WAIT_S, Arrived, Watch

from wharfside_client import Node, container, process
from wharfside_protocol.commands import CreateArgs, Output
from wharfside_protocol.errors import Denied, NotFound, RuntimeFailed, WharfsideError
from wharfside_protocol.events import EventType
from wharfside_protocol.specs import Limits
from wharfside_protocol.states import ContainerState
from wharfside_protocol.times import NANOSECONDS, from_timestamp

MIB = 1024 * 1024
PAUSED_S = 0.3
TICK_NS = 10_000_000
"""How coarse the time is at which the kernel has a file written."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the steps are played on."""

    node: Node
    watch: Watch
    screen: Screen
    agent: Agent
    rootfs: str
    readonly: bool

    def spec(self, name: str, script: str, limits: Limits | None = None) -> CreateArgs:
        args = ["sh", "-c", script]
        return container(name, args, rootfs=self.rootfs, readonly=self.readonly, limits=limits)

    async def refused(self, call: Awaitable[Any], kind: type[WharfsideError]) -> WharfsideError:
        """The error that the node answers; anything else fails."""
        try:
            await call
        except kind as error:
            self.screen.answered(f"{error.code}: {_one_line(error.message)}")
            return error
        except WharfsideError as error:
            raise QuickstartFailed(f"expected {kind.code}, got {error.code}: {error}") from error
        raise QuickstartFailed(f"expected {kind.code}, and it was done")


Step = Callable[[Stage], Coroutine[Any, Any, None]]


async def prints_and_exits(on: Stage) -> None:
    """A container prints a line and exits with 3"""
    script = "echo hello from a container; exit 3"
    on.screen.asked(f"run hello: {script}")
    await on.node.run(on.spec("hello", script))
    waited = await on.node.wait("hello", output=True, timeout_s=WAIT_S)
    exited = await on.watch.get("hello", EventType.EXITED)
    _same("the output", _text(waited.output), "hello from a container")
    _same("exit code of the event", exited.event.data.get("exit_code"), 3)
    _same("exit code of wait", waited.exit and waited.exit.exit_code, 3)
    await _remove(on, "hello")
    kinds = [str(each.event.type) for each in on.watch.all("hello")]
    _same("its events", kinds, ["created", "started", "exited", "deleted"])
    on.screen.good(
        f'it printed "{_text(waited.output)}"; code 3 was here {_late(exited)} after its end'
    )


async def pauses_and_resumes(on: Stage) -> None:
    """One is paused and resumed"""
    script = "while :; do :; done"
    on.screen.asked(f"run busy: {script}")
    await on.node.run(on.spec("busy", script))
    await on.watch.get("busy", EventType.STARTED)
    on.screen.asked("pause busy")
    await on.node.pause("busy")
    await on.watch.get("busy", EventType.PAUSED)
    _same("its state", (await on.node.inspect("busy")).state, ContainerState.PAUSED)
    before = await _cpu_us(on, "busy")
    await asyncio.sleep(PAUSED_S)
    used_us = await _cpu_us(on, "busy") - before
    _check(used_us < PAUSED_S * 1e6 / 10, f"it used {used_us} us of CPU while it was paused")
    on.screen.asked("resume busy")
    await on.node.resume("busy")
    await on.watch.get("busy", EventType.RESUMED)
    _same("its state", (await on.node.inspect("busy")).state, ContainerState.RUNNING)
    on.screen.good(f"in {PAUSED_S * 1000:.0f} ms of pause it used {used_us} us of CPU; it runs on")


async def runs_another_process(on: Stage) -> None:
    """A second process in the running container (exec)"""
    script = "echo I am process $$ of $(hostname); exit 4"
    on.screen.asked(f"exec in busy: {script}")
    spec = process(["sh", "-c", script])
    done = await on.node.exec("busy", spec, id="visit", timeout_s=WAIT_S)
    exited = await on.watch.get("busy", EventType.EXITED, "visit")
    _same("exit code of the event", exited.event.data.get("exit_code"), 4)
    _same("exit code of exec", done.exit and done.exit.exit_code, 4)
    _check(_text(done.output).startswith("I am process"), f"it printed {_text(done.output)!r}")
    _same("the container's state", (await on.node.inspect("busy")).state, ContainerState.RUNNING)
    on.screen.good(f'it printed "{_text(done.output)}" and ended with 4; the container runs on')
    await _remove(on, "busy")


async def is_killed_for_memory(on: Stage) -> None:
    """One with a limit of 32 MiB asks for 64 (OOM)"""
    script = "dd if=/dev/zero of=/dev/null bs=64M count=1"
    on.screen.asked(f"run glutton, memory 32 MiB: {script}")
    limits = Limits(memory_bytes=32 * MIB)
    # exec: the greedy process is the container's first one, so its end is the container's
    await on.node.run(on.spec("glutton", f"exec {script}", limits))
    exited = await on.watch.get("glutton", EventType.EXITED)
    facts = exited.event.data
    _same("oom_killed", facts.get("oom_killed"), True)
    _same("exit code", facts.get("exit_code"), 137)
    oom = await on.watch.get("glutton", EventType.OOM)
    _check(on.watch.seen.index(oom) < on.watch.seen.index(exited), "the oom came after the exit")
    _same("limit told", oom.event.data.get("limit_bytes"), 32 * MIB)
    await _remove(on, "glutton")
    on.screen.good("the kernel killed it: first its oom was told, then its exit with 137")


async def outlives_the_agent(on: Stage) -> None:
    """The agent is killed with -9 while a container ends"""
    on.screen.asked("run orphan: sleep 1000")
    made = await on.node.run(on.spec("orphan", "exec sleep 1000"))
    started = await on.watch.get("orphan", EventType.STARTED)
    pid = started.event.data["pid"]
    on.screen.asked(f"kill -9 {on.agent.pid} (the agent)")
    await on.agent.kill()
    on.screen.asked(f"kill -9 {pid} (orphan)")
    span_ns = await asyncio.to_thread(_end, pid)
    on.screen.line("   ... orphan ends, and no agent is there to see it")
    await on.agent.start()
    on.screen.asked(f"started the agent again, pid {on.agent.pid}")
    exited = await on.watch.get("orphan", EventType.EXITED)
    _check_orphan(on, exited, span_ns)
    waited = await on.node.wait("orphan", incarnation=made.incarnation, timeout_s=WAIT_S)
    _same("exit code of wait", waited.exit and waited.exit.exit_code, 137)
    await _remove(on, "orphan")
    _same("times its exit was told", len(on.watch.all("orphan", EventType.EXITED)), 1)
    on.screen.good(f"told once, {_late(exited)} late, with its code and its true time")


async def refuses_bad_commands(on: Stage) -> None:
    """Bad commands get an error that says what to do"""
    on.screen.asked("run oops: a program that is not there")
    spec = container("oops", ["no-such-program"], rootfs=on.rootfs, readonly=on.readonly)
    await on.refused(on.node.run(spec), RuntimeFailed)
    await on.watch.get("oops", EventType.CREATE_FAILED)
    on.screen.asked("run oops from /etc")
    await on.refused(on.node.run(container("oops", ["sh"], rootfs="/etc")), Denied)
    on.screen.asked("stop nobody")
    await on.refused(on.node.stop("nobody"), NotFound)
    _same("containers", await on.node.list(all=True), [])
    on.screen.good("three errors, and nothing was changed by them")


STEPS: tuple[Step, ...] = (
    prints_and_exits,
    pauses_and_resumes,
    runs_another_process,
    is_killed_for_memory,
    outlives_the_agent,
    refuses_bad_commands,
)


def _check_orphan(on: Stage, exited: Arrived, span_ns: tuple[int, int]) -> None:
    facts = exited.event.data
    _same("exit code", facts.get("exit_code"), 137)
    _same("status_known", facts.get("status_known"), True)
    killed_ns, over_ns = span_ns
    told_ns = from_timestamp(facts["exited_at"])
    in_time = killed_ns - TICK_NS <= told_ns <= over_ns + TICK_NS
    _check(in_time, f"its end is told {(told_ns - killed_ns) / NANOSECONDS:.2f} s off")
    ups = on.watch.all(None, EventType.UP)
    _check(on.watch.seen.index(ups[-1]) < on.watch.seen.index(exited), "told before the restart")


def _end(pid: int) -> tuple[int, int]:
    """Kills a container's process; when that was, and when its monitor was over, too, which
    writes down how it ended; ns since 1970.

    Raises:
        QuickstartFailed: one of them runs on.
    """
    with ExitStack() as stack:
        pidfds = [os.pidfd_open(each) for each in (pid, _parent(pid))]
        for pidfd in pidfds:
            stack.callback(os.close, pidfd)
        killed_ns = time.time_ns()
        signal.pidfd_send_signal(pidfds[0], signal.SIGKILL)
        for pidfd in pidfds:
            if not select.select([pidfd], [], [], WAIT_S)[0]:
                raise QuickstartFailed(f"the container still runs after {WAIT_S:g} s")
        return killed_ns, time.time_ns()


def _parent(pid: int) -> int:
    """proc_pid_stat(5): the name before it may hold anything."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def _remove(on: Stage, name: str) -> None:
    on.screen.asked(f"delete {name}")
    await on.node.delete(name, force=True)
    await on.watch.get(name, EventType.DELETED)


async def _cpu_us(on: Stage, name: str) -> int:
    """CPU time so far, in microseconds."""
    cpu = (await on.node.stats(name)).stats.cpu
    if cpu is None:
        raise QuickstartFailed("no figures of its CPU time")
    return cpu.usage_us


def _late(arrived: Arrived) -> str:
    return f"{arrived.late_ms:.0f} ms"


def _text(output: Output | None) -> str:
    return "" if output is None else output.stdout.decode(errors="replace").strip()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise QuickstartFailed(f"{what}: expected {wanted!r}, found {found!r}")


def _check(true: bool, otherwise: str) -> None:
    if not true:
        raise QuickstartFailed(otherwise)
