"""The only place where the agent starts a process: bounded in time and in what it reads.

Lean on purpose (a run is counted in milliseconds: docs/figures.md): posix_spawn, the end by
pidfd on the loop, output in a sealed memfd. No thread, no pipe to drain, no child watcher.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wharfside_agent.runtime.priority import put_back
from wharfside_protocol.errors import RuntimeFailed

OUTPUT_BYTES = 256 * 1024
"""A command that writes more gets EPERM from write(2); nothing that is run here does."""

COMMAND_SECONDS = 60.0
"""Far beyond the 3 to 60 ms that runtime commands take: a hung one is an error."""

_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores these, and what is ignored stays so across an exec."""

_SEALS = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def clean_environment() -> dict[str, str]:
    """PATH alone: NOTIFY_SOCKET, LISTEN_FDS and _OCI_* would change what runtimes do.

    And UTF-8: in the C locale conmon refuses arguments that are not ASCII, such as paths. Of
    characters alone: each further category is a file that conmon would load (setlocale(3)).
    """
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_CTYPE": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Finished:
    """`code` is negative for a signal, as subprocess has it."""

    code: int
    stdout: str
    stderr: str


async def readable(fd: int, seconds: float) -> None:
    """Waits until `fd` can be read.

    Raises:
        TimeoutError: not within `seconds`.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _resolve, ready)
    timer = loop.call_later(seconds, _give_up, ready)  # bare: asyncio.timeout costs as much again
    try:
        await ready
    finally:
        timer.cancel()
        loop.remove_reader(fd)


async def over(pidfd: int, seconds: float) -> None:
    """Waits until a process that nobody else waits for is over; reaps it if it is our child.

    Raises:
        TimeoutError: not within `seconds`.
    """
    await readable(pidfd, seconds)
    _reap(pidfd)


def _reap(pidfd: int) -> None:
    """Does not wait: it is over. An orphan is our child only where we are a subreaper."""
    with suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _give_up(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_exception(TimeoutError())


class Scratch:
    """A file in memory that a child writes to, at most OUTPUT_BYTES."""

    def __init__(self, name: str) -> None:
        self.fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, OUTPUT_BYTES)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)

    def text(self) -> str:
        """What was written so far; the offset is shared with the child."""
        written = os.lseek(self.fd, 0, os.SEEK_CUR)
        return "" if not written else os.pread(self.fd, written, 0).decode(errors="replace").strip()

    def close(self) -> None:
        os.close(self.fd)


@contextmanager
def scratches(*names: str) -> Iterator[list[Scratch]]:
    files = [Scratch(name) for name in names]
    try:
        yield files
    finally:
        for file in files:
            file.close()


def start(
    argv: Sequence[str],
    *,
    stderr: int,
    stdin: int | None = None,
    stdout: int | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Starts `argv`; its pid, which `ended` has to wait for. None: /dev/null.

    Every fd of this process is close-on-exec, so none needs closing.

    Raises:
        RuntimeFailed: the kernel would not run it.
    """
    env = clean_environment() | dict(environment or {})
    try:
        if cwd is None:
            pid = _spawn(argv, (stdin, stdout, stderr), env)
        else:
            pid = _spawn_in(cwd, argv, (stdin, stdout, stderr), env)
    except OSError as error:
        raise RuntimeFailed(f"cannot run {argv[0]}: {error.strerror}", path=argv[0]) from error
    put_back(pid)
    return pid


def _spawn(argv: Sequence[str], streams: Sequence[int | None], env: Mapping[str, str]) -> int:
    """Bare: subprocess costs three times as much of the loop's time."""
    actions: list[tuple[object, ...]] = [
        (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0)
        if fd is None
        else (os.POSIX_SPAWN_DUP2, fd, number)
        for number, fd in enumerate(streams)
    ]
    return os.posix_spawnp(argv[0], list(argv), env, file_actions=actions, setsigdef=_IGNORED)


def _spawn_in(
    cwd: Path, argv: Sequence[str], streams: Sequence[int | None], env: Mapping[str, str]
) -> int:
    """Python's posix_spawn knows no working folder."""
    stdin, stdout, stderr = (subprocess.DEVNULL if fd is None else fd for fd in streams)
    child = subprocess.Popen(
        argv, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=env, close_fds=False
    )
    child.returncode = 0  # `ended` reaps it: Popen must not wait for a pid that may be another's
    return child.pid


async def ended(pid: int, seconds: float) -> int | None:
    """Waits for the end of the child `pid` and reaps it; its code.

    One that does not end, or whose waiter is canceled, is killed and reaped. None: it
    ended so long ago that it was taken for nobody's, and reaped (watchers/subreaper.py).

    Raises:
        TimeoutError: it did not end within `seconds`.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        await readable(pidfd, seconds)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(pidfd)
        code = _reaped_code(pid)
    return code


def _reaped_code(pid: int) -> int | None:
    """Of a child that is over, or was sent SIGKILL; negative for a signal."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status)


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    seconds: float = COMMAND_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Runs a command to its end.

    Raises:
        RuntimeFailed: it could not be run, or did not end within `seconds`.
    """
    with scratches("stdout", "stderr") as (out, err), _input(stdin) as source:
        pid = start(argv, stdin=source, stdout=out.fd, stderr=err.fd, environment=environment)
        try:
            code = await ended(pid, seconds)
        except TimeoutError as error:
            raise RuntimeFailed(
                f"{' '.join(argv)} did not end within {seconds:.0f} s and was killed: {err.text()}"
            ) from error
        if code is None:
            raise RuntimeFailed(f"nobody saw how {' '.join(argv)} ended: {err.text()}")
        return Finished(code, out.text(), err.text())


@contextmanager
def _input(data: bytes | None) -> Iterator[int | None]:
    if data is None:
        yield None
        return
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    try:
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
