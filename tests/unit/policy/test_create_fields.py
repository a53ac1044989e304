"""Every field of `create` has a verdict: a rule that can deny it, or a reason why none needs to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.policy.kit import asked, rootfs_spec, rule_of

from wharfside_agent.core.policy.container_rules import CONTAINER
from wharfside_agent.core.policy.process_rules import PROCESS
from wharfside_agent.core.policy.rules import DEFAULTS, Rules
from wharfside_agent.core.policy.verdicts import judge
from wharfside_agent.core.policy.words import _SAYS
from wharfside_protocol.codec import convert
from wharfside_protocol.specs import (
    ContainerSpec,
    Io,
    Limits,
    Mount,
    Network,
    ProcessSpec,
    Restart,
    Source,
    User,
)

MIB = 1024 * 1024
RULED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    # the field, what is asked, the rules, the one that denies
    "source.bundle": ({"source": {"bundle": "/srv/box"}}, {"bundles": False}, "bundles"),
    "source.rootfs": (
        {"source": {"rootfs": "/srv/image"}},
        {"bundle_roots": ["/srv/images"]},
        "bundle_roots",
    ),
    "process.user": ({}, {"root": False}, "root"),
    "process.no_new_privileges": (
        {"process": {"args": ["x"], "no_new_privileges": False}},
        {},
        "new_privileges",
    ),
    "io.ship": ({"io": {"ship": True}}, {"ship_logs": False}, "ship_logs"),
    "limits.memory_bytes": (
        {"limits": {"memory_bytes": 65 * MIB}},
        {"limits_at_most": {"memory_mib": 64}},
        "limits_at_most",
    ),
    "limits.swap_bytes": (
        {"limits": {"memory_bytes": 2 * MIB, "swap_bytes": 1}},
        {"limits_at_most": {"swap_mib": 0}},
        "limits_at_most",
    ),
    "limits.pids": (
        {"limits": {"pids": 11}},
        {"limits_at_most": {"pids": 10}},
        "limits_at_most",
    ),
    "limits.cpu_percent": (
        {"limits": {"memory_bytes": 2 * MIB}},
        {"limits_required": ["memory", "cpu"]},
        "limits_required",
    ),
    "limits.cpu_weight": (
        {"limits": {"cpu_weight": 101}},
        {"limits_at_most": {"cpu_weight": 100}},
        "limits_at_most",
    ),
    "network.mode": ({"network": {"mode": "host"}}, {}, "host_namespaces"),
    "network.path": (
        {"network": {"mode": "path", "path": "/proc/1/ns/net"}},
        {},
        "namespace_roots",
    ),
    "mounts.source": (
        {"mounts": [{"source": "/srv/a", "target": "/a"}]},
        {"mount_roots": ["/srv/b"]},
        "mount_roots",
    ),
    "mounts.target": (
        {"mounts": [{"source": "/srv/a", "target": "/sys/a"}]},
        {},
        "mount_types",
    ),
    "mounts.readonly": (
        {"mounts": [{"source": "/srv/a", "target": "/a", "readonly": False}]},
        {"mounts_writable": False},
        "mounts_writable",
    ),
    "restart.policy": (
        {"restart": {"policy": "always"}},
        {"restart": ["no", "on-failure"]},
        "restart",
    ),
    "runtime": ({"runtime": "runc"}, {"runtimes": ["crun"]}, "runtimes"),
    "checkpointable": ({"checkpointable": True}, {"checkpoints": False}, "checkpoints"),
}

FREE = {
    "source.readonly": "takes a right away",
    "process.args": "what runs is the caller's",
    "process.env": "the container's own",
    "process.cwd": "the container's own",
    "io.stdin": "the caller's own stream",
    "io.stdin_once": "the caller's own stream",
    "io.tty": "the caller's own stream",
    "io.log": "bounded by [logs]",
    "io.fifo": "a FIFO in the agent's own folder",
    "limits.cpuset": "which CPUs, not how much of them",
    "hostname": "the container's own",
    "labels": "words",
    "restart.max_retries": "takes away from a policy that is let in",
    "auto_remove": "the caller's own container",
    "stop_signal": "goes into the container alone",
    "grace_s": "bounded, and waits for nobody else",
    "stop_on_disconnect_s": "ends the caller's own container",
}

PARTS: dict[str, type[msgspec.Struct]] = {
    "source": Source,
    "process": ProcessSpec,
    "io": Io,
    "limits": Limits,
    "network": Network,
    "mounts": Mount,
    "restart": Restart,
}


def test_no_field_of_create_is_without_a_verdict() -> None:
    fields = {
        f"{name}.{inner}" if name in PARTS else name
        for name in ContainerSpec.__struct_fields__
        for inner in (PARTS[name].__struct_fields__ if name in PARTS else [name])
    }
    assert fields == RULED.keys() | FREE.keys()
    assert not RULED.keys() & FREE.keys()


@pytest.mark.parametrize("field", RULED)
def test_a_ruled_field_is_denied_by_its_rule_alone(field: str) -> None:
    wanted, narrow, rule = RULED[field]
    plain = {"source": {"rootfs": "/srv/image"}, "process": {"args": ["sh"]}} | wanted
    spec = convert(plain, ContainerSpec)
    theirs = None
    if spec.source.bundle is not None:
        from tests.unit.policy.kit import config

        theirs = config()
    rules = convert_rules(narrow)
    assert rule_of(judge(asked(spec, theirs), rules)) == rule
    if narrow:
        assert judge(asked(spec, theirs), DEFAULTS) is None


def convert_rules(plain: dict[str, Any]) -> Rules:
    return msgspec.convert(plain, Rules)


def test_what_a_rootfs_gets_by_itself_passes_the_defaults() -> None:
    assert judge(asked(rootfs_spec()), DEFAULTS) is None
    plain = rootfs_spec(process=ProcessSpec(args=["sh"], user=User(uid=7)))
    assert judge(asked(plain), Rules(root=False)) is None


def test_every_rule_is_judged_somewhere_and_has_its_words() -> None:
    elsewhere = {"ops", "containers", "unmasked", "privileged"}
    assert set(CONTAINER) | set(PROCESS) | elsewhere == set(Rules.__struct_fields__)
    assert set(_SAYS) == set(Rules.__struct_fields__)
