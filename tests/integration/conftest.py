"""The real agent, runtimes and server, over the real bus."""

from tests.integration.fixtures import *  # noqa: F403
