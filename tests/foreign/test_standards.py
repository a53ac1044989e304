"""What the documents promise, held against by the standards' own tools; no server is needed."""

from __future__ import annotations

import subprocess

import pytest
from tests.foreign.kit import REPOSITORY, run_go, run_node
from tests.support.requirements import requires

GO_SOURCES = ("tests/foreign/go", "docs/examples")


@requires("node")
@pytest.mark.parametrize("script", ["asyncapi.js", "cloudevents.js", "vectors.js"])
def test_standard(script: str) -> None:
    run_node(f"standards/{script}")


@requires("go")
@pytest.mark.parametrize("test", ["TestVectors", "TestEnvelopes", "TestDigests", "TestSignatures"])
def test_vectors_in_go(test: str) -> None:
    run_go(test)


@requires("go")
def test_go_finds_no_fault_in_its_sources() -> None:
    assert in_go("gofmt", "-l", *GO_SOURCES) == ""
    assert in_go("go", "vet", "foreign/wharfside", "foreign/scenarios") == ""


def in_go(*command: str) -> str:
    """All that it said."""
    ran = subprocess.run(
        ["tests/support/go", "with", *command],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout
