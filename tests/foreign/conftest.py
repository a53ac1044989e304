"""The secured server with its agents, as for the tests of security."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.fixtures import NEEDED
from tests.security.secured import SecuredWorld, secured_world
from tests.support.requirements import need

from wharfside_client.auth.state import Form


@pytest.fixture(scope="package")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredWorld]:
    yield from _ground(tmp_path_factory, Form.STATIC)


@pytest.fixture(scope="module")
def ground_of_jwts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredWorld]:
    """With TLS."""
    yield from _ground(tmp_path_factory, Form.JWT)


def _ground(factory: pytest.TempPathFactory, form: Form) -> Iterator[SecuredWorld]:
    for name in NEEDED:
        need(name)
    with secured_world(factory.mktemp("foreign"), form) as ground:
        yield ground
