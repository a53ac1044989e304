from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.machine import descriptors
from tests.unit.archive.box import Box

from wharfside_agent.archive.archives import TarArchives
from wharfside_agent.runtime.container_root import LentRoots


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """Its threads must be over at the end, and their descriptors closed.

    Its names are on no machine: code that is wrong finds and replaces nothing there.
    """
    before = descriptors()
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "box-etc", root / "box-usr/lib", root / "box-tmp", outside):
        folder.mkdir(parents=True)
    (root / "box-lib").symlink_to("box-usr/lib")
    (root / "box-etc/passwd").write_text("inside\n")
    (outside / "passwd").write_text("secret\n")
    archives = TarArchives(most=2, kept_free=0)
    yield Box(root, outside, archives, LentRoots())
    assert (outside / "passwd").read_text() == "secret\n"
    assert {path.name for path in outside.iterdir()} == {"passwd"}
    await archives.close()
    assert not archives.under_way
    assert descriptors() == before
