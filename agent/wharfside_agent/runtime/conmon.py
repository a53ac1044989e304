"""Starts a process under its own conmon and hears from it how that went."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from wharfside_agent.runtime import spawn
from wharfside_agent.runtime.argv import MonitorDir
from wharfside_agent.runtime.refusals import refusal
from wharfside_agent.runtime.sync_pipe import Reported, parse_report
from wharfside_agent.spans import span
from wharfside_protocol.errors import RuntimeFailed

LAUNCH_SECONDS = 60.0
"""A create takes 20 to 60 ms; one that is not done by then hangs."""

END_SECONDS = 5.0
"""conmon's first process ends as soon as it has forked, the second once it has reported."""

REPORT_BYTES = 64 * 1024
"""conmon hands on at most 8 KiB of the runtime's words."""


@dataclass(frozen=True, slots=True)
class Launched:
    """The pids of a process and of the conmon that watches it."""

    pid: int
    monitor: int


async def launch(
    argv: list[str],
    monitor: MonitorDir,
    what: str,
    settle: Callable[[int], Awaitable[None]],
    attach: Callable[[], None] | None = None,
    *,
    seconds: float = LAUNCH_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> Launched:
    """Runs conmon and waits until its runtime has made the process.

    `settle` puts conmon's first pid where it belongs before conmon forks anything: it
    waits for a byte on its start pipe until then. Its working folder is its own: older
    ones write a file `oom` there. `attach` (with `--exec-attach`) connects to its attach socket,
    once that is there and before the process is.

    Raises:
        RuntimeFailed: in the runtime's own words, or conmon's; `what` begins the message.
    """
    with span(what), ExitStack() as owned, spawn.scratches("conmon") as (words,):
        pipes = _Pipes(owned, attach is not None)
        child = _start(argv, monitor.folder, words.fd, pipes, environment or {})
        try:
            await _settled(child, settle)
            pipes.go()
            if attach is not None and await _read_line(pipes.listens, seconds):
                attach()
                pipes.go()
            line = await _read_line(pipes.report, seconds)
        except TimeoutError as error:
            raise RuntimeFailed(f"{what}: conmon said nothing for {seconds} s") from error
        finally:
            await spawn.ended(child, END_SECONDS)
        said = parse_report(line) if line else Reported(None, _logged(monitor) or words.text())
        if said.pid is None:
            await _reap(monitor)
            raise refusal(what, said.words)
        return Launched(said.pid, int(monitor.conmon_pid_file.read_bytes()))


async def _settled(child: int, settle: Callable[[int], Awaitable[None]]) -> None:
    """One that cannot be put there has made nothing yet, and is ended: it still waits."""
    try:
        await settle(child)
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        raise


def _logged(monitor: MonitorDir) -> str:
    """What the runtime wrote into its own log, which only one with a terminal has."""
    try:
        with monitor.words.open("rb") as file:
            return file.read(REPORT_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


async def _reap(monitor: MonitorDir) -> None:
    """A conmon that failed ends by itself, and nobody else waits for it."""
    try:
        pidfd = os.pidfd_open(int(monitor.conmon_pid_file.read_bytes()))
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return
    try:
        with suppress(TimeoutError):
            await spawn.over(pidfd, END_SECONDS)
    finally:
        os.close(pidfd)


class _Pipes:
    """Ours to conmon. Closed by `owned`; conmon's ends as soon as it has them.

    `report` is the sync pipe, `listens` the attach pipe (-1 without).
    """

    def __init__(self, owned: ExitStack, attach: bool) -> None:
        self.report, sync = _sync_pipe()
        owned.callback(os.close, self.report)
        start, self._go = os.pipe2(os.O_CLOEXEC)
        owned.callback(os.close, self._go)
        self.theirs = {"_OCI_SYNCPIPE": sync, "_OCI_STARTPIPE": start}
        self.listens = -1
        if attach:
            self.listens, self.theirs["_OCI_ATTACHPIPE"] = os.pipe2(os.O_CLOEXEC)
            owned.callback(os.close, self.listens)
            os.set_blocking(self.listens, False)
        os.set_blocking(self.report, False)
        for fd in self.theirs.values():
            os.set_inheritable(fd, True)

    def go(self) -> None:
        """conmon waits for a byte, for one more where somebody attaches first."""
        with suppress(BrokenPipeError):  # it failed, and says why on its sync pipe
            os.write(self._go, b"\0")

    def handed_over(self) -> None:
        for fd in self.theirs.values():
            os.close(fd)


def _start(
    argv: list[str], cwd: Path, words: int, pipes: _Pipes, environment: Mapping[str, str]
) -> int:
    """conmon, blocked on its start pipe."""
    theirs = {name: str(fd) for name, fd in pipes.theirs.items()}
    try:
        return spawn.start(argv, stderr=words, cwd=cwd, environment={**environment, **theirs})
    finally:
        pipes.handed_over()


def _sync_pipe() -> tuple[int, int]:
    """The end that conmon writes to is one that reads, too (fifo(7): Linux allows O_RDWR).

    Else an agent that dies meanwhile takes the pipe's last reader along, and conmon (up to 2.1.7)
    dies of EPIPE: nobody would watch a process that has just begun.
    """
    report, write = os.pipe2(os.O_CLOEXEC)
    try:
        sync = os.open(f"/proc/self/fd/{write}", os.O_RDWR | os.O_CLOEXEC)
    except BaseException:
        os.close(report)
        raise
    finally:
        os.close(write)
    return report, sync


async def _read_line(fd: int, seconds: float) -> bytes:
    """The first line; less where the writer is gone before its end.

    A short exec's code may come right behind its pid.
    """
    line = bytearray()
    while len(line) < REPORT_BYTES:
        await spawn.readable(fd, seconds)
        part = os.read(fd, REPORT_BYTES)
        line += part
        if not part or b"\n" in part:
            break
    return bytes(line.partition(b"\n")[0])
