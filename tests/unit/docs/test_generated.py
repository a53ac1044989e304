"""What the docs say of the code is what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.events import EventType
from wharfside_protocol.ops import OPS

TOP = Path(__file__).resolve().parents[3]


def test_the_drawn_parts_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, TOP / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_protocol_page_names_every_op_event_and_error() -> None:
    page = (TOP / "docs" / "protocol.md").read_text()
    missing = [name for name in [*OPS, *EventType, *ErrorCode] if f"`{name}`" not in page]
    assert not missing
