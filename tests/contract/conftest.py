"""The contract suite: one set of rows for the fake, crun and runc (ports/runtime.py)."""

from tests.contract.fixtures import *  # noqa: F403
