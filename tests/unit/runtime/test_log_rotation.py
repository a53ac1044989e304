"""A log's rotation, and the end of its process in the midst of it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.eventually import eventually
from ulid import ULID

from wharfside_agent.core.placement import Places, RunPlace
from wharfside_agent.ports.logs import LogName
from wharfside_agent.runtime.ctl import Ctl
from wharfside_agent.runtime.log_files import LogFiles
from wharfside_agent.runtime.log_rotation import LogLimits, Rotation
from wharfside_agent.runtime.logs import DiskLogs
from wharfside_agent.watchers.growth import FileGrowth
from wharfside_protocol.states import INIT


async def test_a_removal_that_was_begun_is_done_also_where_the_process_ends(tmp_path: Path) -> None:
    oldest, _ = (log_file(tmp_path, name) for name in ("1-init.log.0", "1-init.log.9"))
    log = log_file(tmp_path, "1-init.log")
    files, busy = LogFiles.found(log), threading.Event()
    threads = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(threads)
    threads.submit(busy.wait, 60)
    growth = FileGrowth()
    rotation = Rotation(files, Ctl(tmp_path / "ctl"), LogLimits(max_files=2), growth)
    await eventually(lambda: len(files.files) == 2, "the oldest is no part of it any more")
    rotation.close()
    await eventually(lambda: not rotating(), "it is closed")
    assert oldest.exists()
    busy.set()
    await eventually(lambda: not oldest.exists(), "it is removed")
    growth.close()


def rotating() -> bool:
    return any(task.get_name().startswith("rotation of ") for task in asyncio.all_tasks())


def log_file(folder: Path, name: str) -> Path:
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a line\n")
    return path


async def test_one_inotify_serves_all_logs_until_the_end(tmp_path: Path) -> None:
    """To end one keeps a kernel busy for many milliseconds; so short containers have one in all."""
    await eventually(lambda: not inotifies(), "other tests' are gone")
    places = Places(tmp_path / "run", tmp_path / "state")
    logs = DiskLogs(places, FileGrowth(), LogLimits())
    for _ in range(3):
        name = LogName(str(ULID()), 1, INIT)
        log_file(RunPlace(places, name.incarnation, 1).logs, "1-init.log")
        written = logs.watch(name, Ctl(tmp_path / "ctl"), new=True)
        await eventually(lambda: inotifies() == 1, "it waits for more")
        written.close(over=True)
        await eventually(lambda: not rotating(), "it is closed")
        assert inotifies() == 1
    logs.close()
    await eventually(lambda: not inotifies(), "in a thread")


def inotifies() -> int:
    return sum("inotify" in leads_to(each) for each in Path("/proc/self/fd").iterdir())


def leads_to(descriptor: Path) -> str:
    """Empty for one that is closed meanwhile, such as that of the listing itself."""
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""
