"""Any part may die at any time: the fixtures are those of the integration tests."""

from tests.integration.fixtures import *  # noqa: F403
