"""Each thread in which others lost an exit has a row in the docs, and each row a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
PAGE = TESTS.parent / "docs" / "reliability.md"
THREADS = (
    "containerd#6771",
    "containerd#10390",
    "podman#439",
    "podman#6520",
    "podman#26640",
    "nomad#17782",
    "31a710c49",
    "90d6038",
    "containerd#4769",
    "containerd#12400",
    "moby#46212",
    "containerd#9719",
    "containerd#9999",
    "containerd#10603",
    "containerd#8893",
    "containerd#12260",
    "containerd#6323",
    "conmon#426",
    "cri-o#7035",
    "0088cabe9",
    "moby#41827",
    "cri-o#9274",
    "containerd#12600",
    "podman#19629",
    "cri-o#7004",
    "nomad#5945",
    "nomad#17424",
    "kubernetes#121003",
    "kubernetes#123087",
    "processExits",
    "restore()",
    "shim publisher",
)
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows() -> list[list[str]]:
    """Failure, threads and tests of each row."""
    _, _, rest = PAGE.read_text().partition("| Failure | Seen in | Our test |\n|---|---|---|\n")
    table, _, _ = rest.partition("\n\n")
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def test_every_thread_has_a_row() -> None:
    seen = " ".join(threads for _, threads, _ in rows())
    assert not [thread for thread in THREADS if thread not in seen]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_row_has_a_test(row: list[str]) -> None:
    _failure, _threads, tests = row
    assert TEST.findall(tests)


def test_every_test_that_the_page_names_is_there() -> None:
    named = TEST.findall(PAGE.read_text())
    assert len(named) > 30
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not re.search(rf"def {test}\(", (TESTS / path).read_text())
    ]
    assert not missing


def test_those_that_are_only_here_name_their_thread() -> None:
    """Whoever reads the test alone finds the thread."""
    text = (TESTS / "chaos" / "test_threads.py").read_text()
    tests = re.findall(
        r"async def (test_\w+)\(.*?\) -> None:\n    \"\"\"(.*?)\"\"\"", text, re.DOTALL
    )
    assert len(tests) == text.count("async def test_")
    assert not [name for name, doc in tests if not any(thread in doc for thread in THREADS)]
