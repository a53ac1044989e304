from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wharfside_agent.images.disk import DiskImages


@pytest.fixture
def images(tmp_path: Path) -> Iterator[DiskImages]:
    made = DiskImages(tmp_path / "checkpoints", kept_free=0)
    yield made
    made.close()
