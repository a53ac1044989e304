"""Commands are run to their end, bounded, and see nothing of ours."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from tests.support.eventually import eventually

from wharfside_agent.runtime import spawn
from wharfside_protocol.errors import RuntimeFailed


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


async def test_code_and_both_streams() -> None:
    done = await spawn.run(shell("echo out; echo err >&2; exit 3"))
    assert done == spawn.Finished(3, "out", "err")


async def test_a_signal_is_a_negative_code() -> None:
    assert (await spawn.run(shell("kill -TERM $$"))).code == -15


async def test_stdin_is_what_is_given_or_nothing() -> None:
    assert (await spawn.run(["/bin/cat"], stdin=b"given")).stdout == "given"
    assert (await spawn.run(["/bin/cat"])).stdout == ""


async def test_output_is_bounded() -> None:
    done = await spawn.run(shell("head -c 1000000 /dev/zero | tr '\\0' x"))
    assert 0 < len(done.stdout) <= spawn.OUTPUT_BYTES


async def test_nothing_of_our_environment_is_handed_on_but_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("_OCI_SYNCPIPE", "3")
    names = {line.partition("=")[0] for line in (await spawn.run(["env"])).stdout.splitlines()}
    assert names <= {"PATH", "LC_CTYPE"}


async def test_none_of_our_descriptors_is_inherited(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w"):
        done = await spawn.run(["ls", "-l", "/proc/self/fd"])
    assert "file" not in done.stdout and "socket" not in done.stdout


async def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(RuntimeFailed, match="cannot run /nothing/here"):
        await spawn.run(["/nothing/here"])


async def test_what_does_not_end_is_killed_and_reaped() -> None:
    before = psutil.Process().children(recursive=True)
    with pytest.raises(RuntimeFailed, match="did not end within"):
        await spawn.run(shell("exec sleep 60"), seconds=0.3)
    assert psutil.Process().children(recursive=True) == before


async def test_what_nobody_waits_for_any_more_is_killed_and_reaped(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 60"
    waiting = asyncio.ensure_future(spawn.run(shell(script)))
    await eventually(pid_file.exists, "it runs")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()


async def test_no_descriptor_is_left() -> None:
    await spawn.run(["/bin/true"])
    before = descriptors()
    await spawn.run(["/bin/true"], stdin=b"x")
    assert descriptors() == before


async def test_a_child_that_was_reaped_as_nobodys_has_no_code() -> None:
    pid = spawn.start(["/bin/true"], stderr=2)
    os.waitpid(pid, 0)
    assert await spawn.ended(pid, 5.0) is None
