"""Who may do what, on real parts: the fixtures of the integration tests, and secured servers.

One of these a module and form; agents for those that need them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.fixtures import *  # noqa: F403
from tests.integration.fixtures import NEEDED
from tests.security.secured import Secured, SecuredWorld, secured_server, secured_world
from tests.support.requirements import need

from wharfside_client.auth.state import Form


@pytest.fixture(scope="module", params=Form)
def secured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    need("nats-server")
    with secured_server(tmp_path_factory.mktemp("secured"), request.param) as secured:
        yield secured


@pytest.fixture(scope="module", params=Form)
def ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredWorld]:
    for name in NEEDED:
        need(name)
    with secured_world(tmp_path_factory.mktemp("ground"), request.param) as ground:
        yield ground
