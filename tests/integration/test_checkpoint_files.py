"""Checkpoints as files: out of a node, read by others, and into another one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.integration.bounds import bounded
from tests.integration.cli_kit import typed
from tests.integration.counting import COUNTS, Counting
from tests.integration.fifos import shell
from tests.integration.test_migrate import LARGE_COUNTS
from tests.integration.two_nodes import Pair
from tests.support.requirements import CRIT, requires

from wharfside_protocol.errors import Busy, Invalid

pytestmark = requires("criu")


async def test_a_checkpoint_as_a_file(pair: Pair, tmp_path: Path) -> None:
    """Out of one node, read by tar, into another, and gone on with there."""
    name, url = await pair.a.run(COUNTS, checkpointable=True), pair.a.world.server.url
    taken = await pair.a.node.checkpoint(name, "kept")
    saved = tmp_path / "kept.tar"
    ran = await typed(url, "checkpoint", "save", f"node-a/{name}", "kept", "-o", str(saved))
    assert ran.code == 0, ran.err
    with tarfile.open(saved) as tar:
        names = {member.name.removeprefix("./") for member in tar.getmembers()}
    assert {"config.dump", "spec.dump", "rootfs-diff.tar", "checkpoint/inventory.img"} <= names
    ran = await typed(url, "checkpoint", "load", "node-b", str(saved))
    assert ran.code == 0, ran.err
    [view] = (await pair.b.node.checkpoints()).checkpoints
    assert view.digest == taken.checkpoint.digest
    ran = await typed(url, "checkpoint", "load", "node-b", str(saved))
    assert ran.code == 1 and "already" in ran.err
    other = pair.b.name("heir")
    await pair.b.node.restore(other, "kept", incarnation=view.incarnation)
    heir = await Counting.of(pair.b, other)
    await heir.further(1)
    await pair.b.node.stop(other, grace_s=0)
    assert heir.written() == list(range(len(heir.written())))
    await pair.b.node.delete_checkpoint(name, "kept", incarnation=view.incarnation)
    await pair.a.node.delete_checkpoint(name, "kept")


async def test_crius_own_reader_opens_it(pair: Pair, tmp_path: Path) -> None:
    """Every image of it but pages and archives, which are raw; and what runs, by its names."""
    if not CRIT.exists():
        pytest.skip("crit is not here: tests/support/crit prepare")
    script = shell("echo new >/root/new; while :; do sleep 1000; done")
    name, saved = await pair.a.run(script, checkpointable=True), tmp_path / "x.tar"
    await pair.a.node.checkpoint(name, "kept")
    await pair.a.node.save_checkpoint(name, "kept", saved)
    await pair.a.node.delete_checkpoint(name, "kept")
    with tarfile.open(saved) as tar:
        # Debian 12's Python has no filters yet
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        tar.extractall(tmp_path)
    images = tmp_path / "checkpoint"
    read = [path for path in images.glob("*.img") if not path.name.startswith(("pages-", "tmpfs"))]
    assert len(read) > 10
    for path in read:
        assert (await crit("show", path))["entries"] is not None, path.name
    [first, *_] = (await crit("show", images / "pstree.img"))["entries"]
    assert (first["pid"], first["ppid"]) == (1, 0)
    core = (await crit("show", images / "core-1.img"))["entries"][0]
    assert core["tc"]["comm"] == "sh"


async def crit(*words: object) -> dict[str, Any]:
    """What it prints of an image."""
    process = await asyncio.create_subprocess_exec(
        CRIT, *map(str, words), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await bounded(process.communicate(), "crit")
    assert process.returncode == 0, err.decode()
    shown: dict[str, Any] = json.loads(out)
    return shown


async def test_what_is_being_saved_stays_there(pair: Pair, tmp_path: Path) -> None:
    """A tar without some of its files would look whole."""
    name, saved = await pair.a.run(LARGE_COUNTS, checkpointable=True), tmp_path / "x.tar"
    counting = await Counting.of(pair.a, name)
    await counting.further(1)
    taken = await pair.a.node.checkpoint(name, "kept")
    deleting: list[asyncio.Task[object]] = []

    def delete(_done: int, _total: int | None) -> None:
        if not deleting:
            work = pair.a.node.delete_checkpoint(name, "kept")
            deleting.append(asyncio.create_task(work))

    await pair.a.node.save_checkpoint(name, "kept", saved, progress=delete)
    with pytest.raises(Busy, match="in use"):
        await bounded(deleting[0], "the answer")
    await pair.a.node.delete_checkpoint(name, "kept")
    assert (await pair.a.node.checkpoints(name)).checkpoints == []
    loaded = await pair.b.node.load_checkpoint(saved)
    assert loaded.digest == taken.checkpoint.digest
    await pair.b.node.delete_checkpoint(name, "kept", incarnation=loaded.incarnation)


async def test_files_that_cannot_be_read_or_written(pair: Pair, tmp_path: Path) -> None:
    name, url = await pair.a.run(COUNTS, checkpointable=True), pair.a.world.server.url
    await pair.a.node.checkpoint(name, "kept")
    for there in (tmp_path, tmp_path / "no" / "x.tar"):
        ran = await typed(url, "checkpoint", "save", f"node-a/{name}", "kept", "-o", str(there))
        assert (ran.code, ran.out) == (125, "")
        assert ran.err.startswith(f"wharfside: {there}: ")
    for there in (tmp_path, tmp_path / "missing.tar"):
        ran = await typed(url, "checkpoint", "load", "node-b", str(there))
        assert (ran.code, ran.out) == (125, "")
        assert ran.err.startswith(f"wharfside: {there}: ")
    assert list(tmp_path.iterdir()) == []
    saved = tmp_path / "x.tar"
    await pair.a.node.save_checkpoint(name, "kept", saved)
    assert saved.stat().st_mode & 0o777 == 0o600
    await pair.a.node.delete_checkpoint(name, "kept")


async def test_a_broken_file_is_refused(pair: Pair, tmp_path: Path) -> None:
    name, saved = await pair.a.run(COUNTS, checkpointable=True), tmp_path / "x.tar"
    await pair.a.node.checkpoint(name, "kept")
    await pair.a.node.save_checkpoint(name, "kept", saved)
    whole = saved.read_bytes()
    at = whole.index(b"checkpoint/inventory.img") + 512 + 8
    flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    for broken in (whole[: len(whole) // 2], flipped, b"no tar" * 200):
        saved.write_bytes(broken)
        with pytest.raises(Invalid):
            await pair.b.node.load_checkpoint(saved)
    assert (await pair.b.node.checkpoints()).checkpoints == []
    await pair.a.node.delete_checkpoint(name, "kept")
