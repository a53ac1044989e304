"""Who may do what, on real parts: the fixtures of the integration tests, and secured servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.fixtures import *  # noqa: F403
from tests.integration.fixtures import NEEDED
from tests.security.secured import Secured, SecuredWorld, secured_server, secured_world
from tests.support.requirements import need


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One with users of every role, and no agents."""
    need("nats-server")
    with secured_server(tmp_path_factory.mktemp("secured")) as secured:
        yield secured


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredWorld]:
    """One with two real agents."""
    for name in NEEDED:
        need(name)
    with secured_world(tmp_path_factory.mktemp("ground")) as ground:
        yield ground
