"""The secured server with its agents, as for the tests of security; in the form of static keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.fixtures import NEEDED
from tests.security.secured import NODES, SecuredWorld, secured_world
from tests.support.requirements import need

from wharfside_client.auth.state import Form


@pytest.fixture(scope="package")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredWorld]:
    for name in ("node", *NEEDED):
        need(name)
    with secured_world(tmp_path_factory.mktemp("foreign"), Form.STATIC) as ground:
        yield ground


@pytest.fixture
def site(ground: SecuredWorld) -> dict[str, Any]:
    """What a program is told of it: js/scenarios/kit.js."""
    secured = ground.secured
    users = ("ops", "other", "eyes")
    return {
        "servers": secured.server.url,
        "nodes": list(NODES),
        "rootfs": str(ground.world.rootfs),
        "users": {name: str(secured.credentials(name)) for name in users},
    }
