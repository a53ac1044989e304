"""The driver's checkpoints: CRIU through runc, and conmon's --restore."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.worlds import World, assert_ended, bounded, end_of, shell
from tests.support.eventually import eventually
from tests.support.requirements import requires

from wharfside_agent.ports.runtime import Container, Dump
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.errors import NotFound, RuntimeFailed, Unsupported
from wharfside_protocol.specs import Io

pytestmark = requires("criu")

CREATED = "2026-01-01T00:00:00Z"
PLAIN = CheckpointFlags()
SHELL = CheckpointFlags(shell=True)

TALKS = """
sleep 1000 | nc -l -p 99 & while :; do echo said; sleep 0.01; done |
(until nc 127.0.0.1 99; do sleep 0.01; done)
"""
"""A connection of its own, on its own loopback."""


def shown(container: Container) -> bytes:
    return container.init.output(100_000).stdout


async def dumped(container: Container, folder: Path, flags: CheckpointFlags = PLAIN) -> Dump:
    """Frozen, dumped and thawed, as the agent does it."""
    folder.mkdir()
    dump = Dump(folder, flags, CREATED)
    await bounded(container.freeze())
    try:
        await bounded(container.checkpoint(dump))
    finally:
        container.thaw()
    return dump


async def next_run(world: World, container: Container, dump: Dump) -> Container:
    plan = world.plans[container.id]
    await bounded(container.delete(keep_layer=True))
    container.close()
    world.containers.remove(container)
    plan = replace(plan, run=plan.run + 1)
    restored = await bounded(world.runtime.restore(plan, dump.folder, dump.flags))
    world.plans[restored.id] = plan
    return world.keep(restored)


async def test_init_goes_on_with_its_watches(runc: World, tmp_path: Path) -> None:
    """Its exit is exact, its output is logged on, and it can be frozen and signaled."""
    script = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.01; done"
    container = await runc.run(*shell(script))
    await eventually(lambda: b"ready" in shown(container), "its first line")
    dump = await dumped(container, tmp_path / "dump")
    assert {path.name for path in dump.folder.iterdir()} >= {"checkpoint", "dump.log"}
    restored = await next_run(runc, container, dump)
    assert await bounded(restored.state()) == "running"
    assert restored.pid != container.pid
    await bounded(restored.pause())
    await bounded(restored.resume())
    restored.init.signal(15)
    assert_ended(await end_of(restored.init), 9 << 8)
    assert shown(restored) == b"told\n"


async def test_a_shell_on_its_terminal(runc: World, tmp_path: Path) -> None:
    """With `shell`: what it knows, its terminal, and a size that is set anew."""
    container = await runc.run("/bin/sh", io=Io(tty=True))
    container.init.streams.open_input()
    await bounded(container.init.streams.write(b"known=41; echo is-$known\n"))
    await eventually(lambda: b"is-41" in shown(container), "its first answer")
    container.init.streams.close()
    dump = await dumped(container, tmp_path / "dump", SHELL)
    restored = await next_run(runc, container, dump)
    streams = restored.init.streams
    streams.open_input()
    await bounded(streams.resize(33, 77))
    await bounded(streams.write(b"stty size; echo now-$((known + 1))\n"))
    await eventually(lambda: b"now-42" in shown(restored), "its second answer")
    assert b"33 77" in shown(restored)
    await bounded(streams.write(b"exit 5\n"))
    assert_ended(await end_of(restored.init), 5 << 8)


async def test_stdin_goes_on(runc: World, tmp_path: Path) -> None:
    container = await runc.run("/bin/cat", io=Io(stdin=True, stdin_once=False))
    container.init.streams.open_input()
    await bounded(container.init.streams.write(b"before\n"))
    await eventually(lambda: b"before" in shown(container), "its echo")
    container.init.streams.close()
    restored = await next_run(runc, container, await dumped(container, tmp_path / "dump"))
    restored.init.streams.open_input()
    await bounded(restored.init.streams.write(b"after\n"))
    await eventually(lambda: shown(restored) == b"after\n", "its echo after")


async def test_a_refusal_is_in_crius_words_and_harms_nothing(runc: World, tmp_path: Path) -> None:
    """A connection without `tcp`; and what is restored from no image leaves nothing."""
    container = await runc.run(*shell(TALKS))
    await eventually(lambda: b"said" in shown(container), "its connection")
    with pytest.raises(RuntimeFailed, match="tcp-established") as refused:
        await dumped(container, tmp_path / "dump")
    assert "--tcp-established" in refused.value.details["log"]
    assert await bounded(container.state()) == "running"
    dump = await dumped(container, tmp_path / "again", CheckpointFlags(tcp=True))
    for path in (dump.folder / "checkpoint").glob("core-*.img"):
        path.write_bytes(b"no image")
    plan = replace(runc.plans[container.id], run=7)
    with pytest.raises(RuntimeFailed) as failed:
        await bounded(runc.runtime.restore(plan, dump.folder, dump.flags))
    assert "Error" in failed.value.details["log"]
    with pytest.raises(NotFound):
        await bounded(runc.runtime.restored(plan))


async def test_a_next_life_finds_what_was_restored(runc: World, tmp_path: Path) -> None:
    container = await runc.run(*shell("while :; do sleep 0.01; done"))
    dump = await dumped(container, tmp_path / "dump")
    restored = await next_run(runc, container, dump)
    again = runc.keep(await bounded(runc.new_life().restored(runc.plans[restored.id])))
    assert (again.id, again.pid) == (restored.id, restored.pid)
    assert again.init.trace == restored.init.trace


async def test_pre_dumps_are_told_to_be_impossible_or_taken(runc: World, tmp_path: Path) -> None:
    container = await runc.run(*shell("while :; do sleep 0.01; done"))
    folder = tmp_path / "dump"
    folder.mkdir()
    if not runc.runtime.criu.pre_dump:
        with pytest.raises(Unsupported, match="does not track written memory"):
            await bounded(container.pre_dump(folder, "pre"))
        return
    await bounded(container.pre_dump(folder, "pre"))
    assert await bounded(container.state()) == "running"
    await bounded(container.freeze())
    dump = Dump(folder, PLAIN, CREATED, parent="pre")
    await bounded(container.checkpoint(dump))
    assert (folder / "checkpoint" / "parent").is_symlink()
    restored = await next_run(runc, container, dump)
    assert await bounded(restored.state()) == "running"


async def test_the_network_is_locked_for_connections_alone(
    runc: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no iptables-restore: only a dump that would take connections misses it."""
    container = await runc.run("/bin/sleep", "1000")
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in (Path("/usr/sbin"), Path("/usr/bin")):
        for path in folder.iterdir():
            if "tables-restore" not in path.name:
                (programs / path.name).unlink(missing_ok=True)
                (programs / path.name).symlink_to(path)
    monkeypatch.setenv("PATH", str(programs))
    dump = await dumped(container, tmp_path / "plain")
    with pytest.raises(RuntimeFailed) as refused:
        await dumped(container, tmp_path / "with-tcp", CheckpointFlags(tcp=True))
    assert "iptables-restore" in refused.value.details["log"]
    restored = await next_run(runc, container, dump)
    assert await bounded(restored.state()) == "running"
