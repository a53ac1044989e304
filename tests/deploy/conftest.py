"""The real agent, runtimes and server, as they are deployed."""

from tests.integration.fixtures import *  # noqa: F403
