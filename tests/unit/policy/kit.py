"""What the tests of the policy ask for: configs as a runtime would be given them."""

from __future__ import annotations

import json
from typing import Any

from wharfside_agent.core.oci_config import Machine, RunFacts, from_bundle, from_rootfs
from wharfside_agent.core.oci_schema import parse_config
from wharfside_agent.core.policy.asked import Asked, asked_of
from wharfside_agent.core.policy.gaps import filled
from wharfside_agent.core.policy.rules import Rules
from wharfside_agent.core.policy.verdicts import Denial, judge
from wharfside_protocol.specs import ContainerSpec, ProcessSpec, Source

MACHINE = Machine("v2", "x86_64", 1024)
FACTS = RunFacts(MACHINE, "box", "/srv/box/rootfs", "/cgroup", "/srv/box")

OWN_NAMESPACES = ("pid", "ipc", "uts", "mount", "network")


def config(**changes: Any) -> dict[str, Any]:
    """A bundle's config.json as `runc spec` writes it; `process`, `linux` are merged into."""
    process = {
        "args": ["sh"],
        "cwd": "/",
        "user": {"uid": 0, "gid": 0},
        "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"]},
        "noNewPrivileges": True,
    }
    linux = {
        "namespaces": [{"type": kind} for kind in OWN_NAMESPACES],
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
    }
    return {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        **changes,
        "process": process | changes.get("process", {}),
        "linux": linux | changes.get("linux", {}),
    }


def bundle_spec(**fields: Any) -> ContainerSpec:
    return ContainerSpec(source=Source(bundle="/srv/box"), **fields)


def rootfs_spec(**fields: Any) -> ContainerSpec:
    fields.setdefault("process", ProcessSpec(args=["sh"]))
    return ContainerSpec(source=Source(rootfs="/srv/image"), **fields)


def asked(
    spec: ContainerSpec, theirs: dict[str, Any] | None = None, rules: Rules | None = None
) -> Asked:
    """As runtime/bundle.py puts it together."""
    if theirs is None:
        return asked_of(spec, spec.runtime or "crun", from_rootfs(spec, FACTS))
    made = from_bundle(parse_config(json.dumps(theirs).encode()), spec, FACTS)
    made["linux"] = filled(made["linux"], rules or Rules(), MACHINE.architecture)
    return asked_of(spec, spec.runtime or "crun", made)


def verdict_of_bundle(theirs: dict[str, Any], rules: Rules | None = None) -> str | None:
    """The rule that denies it."""
    return rule_of(judge(asked(bundle_spec(), theirs, rules), rules or Rules()))


def rule_of(denial: Denial | None) -> str | None:
    return None if denial is None else denial.rule
