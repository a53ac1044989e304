"""The policy that docs/security.md shows is one that a node takes, and does what is said of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from wharfside_agent.core.actors import NOBODY, Actor
from wharfside_agent.core.policy.rules import policy_of

SECURITY = Path(__file__).resolve().parents[3] / "docs" / "security.md"


def test_the_policy_of_the_documents_is_one() -> None:
    [text] = re.findall(r"^```toml\n(.*?)^```$", SECURITY.read_text(), re.DOTALL | re.MULTILINE)
    policy = policy_of(tomllib.loads(text)["policy"])
    deployer = policy.of(Actor("ci", "deployer", proven=True)).rules
    assert not policy.of(NOBODY).rules.allows("run")
    assert deployer.allows("run") and not deployer.bundles and not deployer.root
    assert policy.of(Actor("ann", "operator", proven=True)).rules.host_namespaces == ("network",)


def test_every_test_that_the_threats_name_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", SECURITY.read_text())
    assert named
    missing = [name for name in named if not (SECURITY.parents[1] / name).exists()]
    assert not missing
