"""What the documents promise, held against by the standards' own tools; no server is needed."""

from __future__ import annotations

import pytest
from tests.foreign.kit import run_node
from tests.support.requirements import requires

pytestmark = requires("node")


@pytest.mark.parametrize("script", ["asyncapi.js", "cloudevents.js", "vectors.js"])
def test_standard(script: str) -> None:
    run_node(f"standards/{script}")
