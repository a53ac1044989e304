"""CRIU: whether it works here, in its own words, and its dumps of running containers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from wharfside_agent.runtime import spawn
from wharfside_agent.runtime.criu_watch import watched
from wharfside_agent.runtime.identity import children, pids_naming
from wharfside_protocol.errors import RuntimeFailed
from wharfside_protocol.views import CriuInfo

CHECK_SECONDS = 20.0

DUMP_SECONDS = 600.0
"""Far beyond what a container's memory takes to be written; a dump that is not done hangs."""

END_SECONDS = 10.0
"""A runc whose CRIU is gone says so at once."""

TAIL_BYTES = 2048
"""So much of CRIU's log is told with a failure."""

_LOG_BYTES = 1024 * 1024
_PROC = Path("/proc")
_ERROR = re.compile(r"Error \([^)]*\): (.*)")
_HARMLESS = ("rlimit: Can't setup RLIMIT_NOFILE",)
"""Said of every dump by an agent without CAP_SYS_RESOURCE."""
_VERSION = re.compile(r"Version: (\S+)")


UNKNOWN = CriuInfo(usable=False, says="nobody has looked for CRIU")


async def probe_criu(path: Path | None) -> CriuInfo:
    """`criu check`, and whether the kernel tracks written memory, as a pre-dump needs it."""
    if path is None:
        says = "CRIU is not installed: apt-get install criu (4.2 or newer)"
        return CriuInfo(usable=False, says=says)
    try:
        checked, tracks, version = await asyncio.gather(
            spawn.run([str(path), "check"], seconds=CHECK_SECONDS),
            spawn.run([str(path), "check", "--feature", "mem_dirty_track"], seconds=CHECK_SECONDS),
            spawn.run([str(path), "--version"], seconds=CHECK_SECONDS),
        )
    except RuntimeFailed as error:
        return CriuInfo(usable=False, path=str(path), says=error.message)
    lines = (checked.stderr + checked.stdout).strip().splitlines()
    found = _VERSION.search(version.stdout)
    return CriuInfo(
        usable=checked.code == 0,
        version=found.group(1) if found else None,
        path=str(path),
        says=lines[-1].strip() if lines else f"exit status {checked.code}",
        pre_dump=tracks.code == 0,
    )


async def run_dump(words: Sequence[str], environment: Mapping[str, str]) -> spawn.Finished:
    """A `runc checkpoint` to its end, which nobody may cut short.

    CRIU works within the dumped processes: one that is killed there may take them along. Only a
    dump that hangs is ended, CRIU first, since it would outlive its runc.

    Raises:
        RuntimeFailed: it could not be run.
    """
    with spawn.scratches("stderr") as (err,):
        pid = spawn.start(words, stderr=err.fd, environment=environment)
        async with watched(lambda: pid):
            code = await _ended(pid)
        return spawn.Finished(-1 if code is None else code, "", err.text())


async def _ended(pid: int) -> int | None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        await spawn.readable(pidfd, DUMP_SECONDS)
    except TimeoutError:
        for child in children(pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    finally:
        os.close(pidfd)
    return await spawn.ended(pid, END_SECONDS)


async def dump_over(runtime_id: str, runtime: str, pid: int) -> None:
    """Waits for the dump that a former life of the agent began on the process `pid`.

    runc is known by its arguments; CRIU, which may have lost it, by what it traces.
    """
    for dumper in pids_naming(runtime_id, frozenset({runtime})):
        await _over(dumper)
    while (tracer := _tracer(pid)) is not None:
        await _over(tracer)


async def _over(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await spawn.readable(pidfd, DUMP_SECONDS)
    except TimeoutError:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        await spawn.readable(pidfd, END_SECONDS)
    finally:
        os.close(pidfd)


def _tracer(pid: int) -> int | None:
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return None
    traced = re.search(r"^TracerPid:\t([1-9][0-9]*)$", status, re.MULTILINE)
    return None if traced is None else int(traced.group(1))


def is_finished(log: Path) -> bool:
    """CRIU says so with its last line, once everything is written."""
    return log_tail(log).endswith("Dumping finished successfully")


def log_tail(log: Path) -> str:
    """What CRIU complained of, and its last words; empty where it wrote no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    last = lines[-3:]
    errors = [line for line in lines[:-3] if "Error" in line]
    return "\n".join([*errors[-10:], *last])[-TAIL_BYTES:]


def criu_words(tail: str) -> str:
    """What went wrong first, without the log's dress; empty where it complained of nothing."""
    errors = [match.group(1) for match in map(_ERROR.search, tail.splitlines()) if match]
    telling = [words for words in errors if not words.startswith(_HARMLESS)]
    return telling[0] if telling else ""
