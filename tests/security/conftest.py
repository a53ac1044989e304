"""Who may do what, on real parts: the fixtures are those of the integration tests."""

from tests.integration.fixtures import *  # noqa: F403
