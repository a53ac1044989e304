"""A missing part skips on a laptop and fails in CI; a long test waits for --soak."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import requirements
from tests.support.requirements import missing, requires

pytest_plugins = ["pytester"]

NEEDS_NOTHING_THERE = """
from tests.support.requirements import requires

@requires("sh", "no-such-command")
def test_it() -> None:
    raise AssertionError("ran without its part")
"""
QUIET = ("-rs", "-p", "no:asyncio", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")
LONG = """
import pytest

@pytest.mark.soak
def test_it() -> None:
    pass
"""


def run(pytester: pytest.Pytester, source: str, *args: str) -> pytest.RunResult:
    pytester.makepyfile(source)
    return pytester.runpytest_inprocess("-p", "tests.conftest", *QUIET, *args)


def test_a_missing_part_skips_on_a_laptop_and_says_how_to_get_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    result = run(pytester, NEEDS_NOTHING_THERE)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines("*no-such-command is not installed: deploy/install-packages*")


def test_a_missing_part_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    result = run(pytester, NEEDS_NOTHING_THERE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*no-such-command is not installed*fails where CI is set*")


def test_a_soak_test_runs_only_when_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = soak: long")
    run(pytester, LONG).assert_outcomes(skipped=1)
    run(pytester, LONG, "--soak").assert_outcomes(passed=1)


@requires("busybox-static")
def test_a_dynamic_busybox_is_not_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert missing("busybox-static") is None
    dynamic = tmp_path / "busybox"
    dynamic.write_bytes(b"\x7fELF" + bytes(500) + b"/lib64/ld-linux-x86-64.so.2\0")
    monkeypatch.setattr(requirements, "find_command", lambda _: dynamic)
    assert "not static" in (missing("busybox-static") or "")
