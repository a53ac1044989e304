"""Each test that the seed map names is there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
PAGE = TESTS.parent / "docs" / "seed-map.md"


def test_every_row_names_a_test_that_is_there() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text())
    assert len(named) > 15
    missing = [
        f"{path}::{test}"
        for path, test in named
        if f"def {test}(" not in (TESTS / path).read_text()
    ]
    assert not missing
