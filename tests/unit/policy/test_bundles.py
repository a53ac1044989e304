"""A bundle from an untrusted hand: each way out of its container is denied, and by which rule.

What the rule that is named opens is then let in; nothing else opens it.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.policy.kit import OWN_NAMESPACES, asked, bundle_spec, config, verdict_of_bundle

from wharfside_agent.core.oci_defaults import MASKED_PATHS
from wharfside_agent.core.policy.gaps import filled
from wharfside_agent.core.policy.rules import Rules
from wharfside_agent.core.policy.verdicts import judge
from wharfside_agent.core.seccomp import profile_for
from wharfside_protocol.errors import Invalid


def mount(kind: str, target: str, *options: str, source: str = "x") -> dict[str, Any]:
    return {"type": kind, "destination": target, "source": source, "options": list(options)}


def namespaces(*kinds: str, **joined: str) -> dict[str, Any]:
    plain: list[dict[str, str]] = [{"type": kind} for kind in kinds]
    return {"namespaces": plain + [{"type": k, "path": p} for k, p in joined.items()]}


def without(kind: str) -> dict[str, Any]:
    return {"linux": namespaces(*(each for each in OWN_NAMESPACES if each != kind))}


def devices(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"linux": {"resources": {"devices": [{"allow": False, "access": "rwm"}, *rules]}}}


FUSE = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
PASSES = {"defaultAction": "SCMP_ACT_ALLOW"}
LISTENS = {"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/run/x.sock"}
NOTIFIES = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}],
}

HOSTILE: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    # what it is, the rule, the config's changes, what opens it
    ("a hook", "hooks", {"hooks": {"poststop": [{"path": "/bin/sh"}]}}, {"hooks": True}),
    (
        "the node's network",
        "host_namespaces",
        without("network"),
        {"host_namespaces": ("network",)},
    ),
    ("the node's pids", "host_namespaces", without("pid"), {"host_namespaces": ("pid",)}),
    ("the node's ipc", "host_namespaces", without("ipc"), {"host_namespaces": ("ipc",)}),
    ("the node's uts", "host_namespaces", without("uts"), {"host_namespaces": ("uts",)}),
    ("the node's mounts", "host_namespaces", without("mount"), {}),
    (
        "init's namespace",
        "namespace_roots",
        {"linux": namespaces("pid", "ipc", "uts", "mount", network="/proc/1/ns/net")},
        {"namespace_roots": ("/proc/1",)},
    ),
    (
        "a namespace past a root by `..`",
        "namespace_roots",
        {
            "linux": namespaces(
                "pid", "ipc", "uts", "mount", network="/run/netns/../../proc/1/ns/net"
            )
        },
        {"namespace_roots": ("/proc/1",)},
    ),
    (
        "a capability",
        "capabilities",
        {"process": {"capabilities": {"bounding": ["CAP_SYS_ADMIN"]}}},
        {"capabilities": ("CAP_SYS_ADMIN",)},
    ),
    (
        "one in small letters",
        "capabilities",
        {"process": {"capabilities": {"ambient": ["cap_sys_ptrace"]}}},
        {"capabilities": ("all",)},
    ),
    ("a device", "devices", devices(FUSE), {"devices": ("c 10:229",)}),
    ("all devices", "devices", devices({"allow": True, "access": "rwm"}), {"devices": ("a *:*",)}),
    (
        "every disk",
        "devices",
        devices({"allow": True, "type": "b", "access": "r"}),
        {"devices": ("b *:*",)},
    ),
    (
        "a device's node",
        "devices",
        {"linux": {"devices": [{"path": "/dev/sda", "type": "b", "major": 8, "minor": 0}]}},
        {"devices": ("b 8:*",)},
    ),
    (
        "new privileges",
        "new_privileges",
        {"process": {"noNewPrivileges": False}},
        {"new_privileges": True},
    ),
    ("a filter that passes all", "seccomp", {"linux": {"seccomp": PASSES}}, {"seccomp": "free"}),
    ("a filter that asks", "seccomp", {"linux": {"seccomp": LISTENS}}, {"seccomp": "free"}),
    ("one that notifies", "seccomp", {"linux": {"seccomp": NOTIFIES}}, {"seccomp": "free"}),
    (
        "a second proc",
        "mount_types",
        {"mounts": [mount("proc", "/p")]},
        {"mount_types": ("*",)},
    ),
    ("a writable sysfs", "mount_types", {"mounts": [mount("sysfs", "/sys")]}, {"privileged": True}),
    (
        "one that is made writable again",
        "mount_types",
        {"mounts": [mount("sysfs", "/sys", "ro", "rw")]},
        {"privileged": True},
    ),
    (
        "one that is made writable again with all below it",
        "mount_types",
        {"mounts": [mount("sysfs", "/sys", "rrw", "ro")]},
        {"privileged": True},
    ),
    (
        "a writable cgroup tree",
        "mount_types",
        {"mounts": [mount("cgroup", "/sys/fs/cgroup")]},
        {"privileged": True},
    ),
    (
        "an overlay of the node",
        "mount_types",
        {"mounts": [mount("overlay", "/host", "lowerdir=/")]},
        {"privileged": True},
    ),
    (
        "a type of no name",
        "mount_types",
        {"mounts": [{"destination": "/x", "source": "/"}]},
        {"privileged": True},
    ),
    (
        "a bind over /proc",
        "mount_types",
        {"mounts": [mount("bind", "/proc/../proc/self/attr", source="/srv/box/x")]},
        {"privileged": True},
    ),
    (
        "a file system of its own over /proc",
        "mount_types",
        {"mounts": [mount("tmpfs", "/proc/self/attr")]},
        {"privileged": True},
    ),
    (
        "mounts that the node sees",
        "mount_types",
        {"mounts": [mount("tmpfs", "/x", "rshared")]},
        {"privileged": True},
    ),
    (
        "files of another owner",
        "mount_types",
        {"mounts": [mount("bind", "/x", "idmap", source="/srv/box/x")]},
        {"privileged": True},
    ),
    (
        "files of another owner, by numbers",
        "unknown_fields",
        {"mounts": [mount("tmpfs", "/x") | {"uidMappings": [{"hostID": 0}]}]},
        {"unknown_fields": True},
    ),
    (
        "shared propagation",
        "mount_types",
        {"linux": {"rootfsPropagation": "shared"}},
        {"privileged": True},
    ),
    (
        "a sysctl",
        "sysctls",
        {"linux": {"sysctl": {"kernel.msgmax": "1"}}},
        {"sysctls": ("kernel.msg*",)},
    ),
    (
        "an rlimit of the whole node",
        "rlimits",
        {"process": {"rlimits": [{"type": "RLIMIT_RTPRIO", "soft": 9, "hard": 9}]}},
        {"rlimits": ("RLIMIT_RTPRIO",)},
    ),
    (
        "a profile by name",
        "security_labels",
        {"process": {"apparmorProfile": "unconfined"}},
        {"security_labels": ("unconfined",)},
    ),
    (
        "a label of its mounts",
        "security_labels",
        {"linux": {"mountLabel": "system_u:object_r:x"}},
        {"security_labels": ("system_u:*",)},
    ),
    (
        "to be killed last",
        "scheduling",
        {"process": {"oomScoreAdj": -900}},
        {"scheduling": True},
    ),
    (
        "real time",
        "scheduling",
        {"process": {"scheduler": {"policy": "SCHED_FIFO", "priority": 9}}},
        {"scheduling": True},
    ),
    (
        "a filter by annotation",
        "runtime_annotations",
        {"annotations": {"run.oci.seccomp_bpf_data": "BgAAAAAA/38="}},
        {"runtime_annotations": True},
    ),
    (
        "CRIU's configuration, with scripts",
        "runtime_annotations",
        {"annotations": {"org.criu.config": "/srv/box/criu.conf"}},
        {"runtime_annotations": True},
    ),
    (
        "the node's own network card",
        "unknown_fields",
        {"linux": {"netDevices": {"eth0": {}}}},
        {"unknown_fields": True},
    ),
    (
        "a field of tomorrow",
        "unknown_fields",
        {"lifecycle": {"x": 1}},
        {"unknown_fields": True},
    ),
    (
        "a cgroup of its own shape",
        "unknown_fields",
        {"linux": {"resources": {"unified": {"cgroup.type": "threaded"}}}},
        {"unknown_fields": True},
    ),
    (
        "a weight past the rule of weights",
        "unknown_fields",
        {"linux": {"resources": {"unified": {"cpu.weight.nice": "-20"}}}},
        {"unknown_fields": True},
    ),
]


@pytest.mark.parametrize(
    ("rule", "changes", "opening"),
    [each[1:] for each in HOSTILE],
    ids=[each[0] for each in HOSTILE],
)
def test_each_way_out_is_denied_until_its_rule_opens_it(
    rule: str, changes: dict[str, Any], opening: dict[str, Any]
) -> None:
    theirs = config(**changes)
    assert verdict_of_bundle(theirs) == rule
    if opening:
        assert verdict_of_bundle(theirs, Rules(**opening)) is None


def test_a_bundle_of_runc_spec_passes_with_the_defaults() -> None:
    assert verdict_of_bundle(config()) is None


def test_nothing_opens_the_nodes_mounts_nor_privileged_hooks() -> None:
    assert verdict_of_bundle(config(**without("mount")), Rules(privileged=True)) is not None
    hook = config(hooks={"prestart": [{"path": "/x"}]})
    assert verdict_of_bundle(hook, Rules(privileged=True)) == "hooks"


@pytest.mark.parametrize(
    "changes",
    [
        {"Hooks": {"prestart": []}},
        {"mounts": [{"destination": "/x", "type": "tmpfs", "Type": "bind", "Source": "/"}]},
        {"process": {"NoNewPrivileges": False}},
        {"linux": {"re\u017fources": {}}},  # Go folds the long s, too
        {"linux": {"uidMappings": [{"hostID": 9, "HostID": 0}]}},
    ],
)
def test_a_name_that_go_would_read_as_another_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="is spelled"):
        verdict_of_bundle(config(**changes))


def test_the_callers_own_keys_are_not_spelled_for_them() -> None:
    assert verdict_of_bundle(config(annotations={"Path": "x", "HOOKS": "y"})) is None


def test_what_a_bundle_leaves_out_is_filled_in() -> None:
    bare = {"namespaces": [], "resources": {}}
    linux = filled(bare, Rules(), "x86_64")
    assert linux["seccomp"] == profile_for("x86_64")
    assert set(MASKED_PATHS) <= set(linux["maskedPaths"])
    assert linux["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
    assert filled(bare, Rules(privileged=True), "x86_64") == bare


@pytest.mark.parametrize(
    "first",
    [
        {"allow": True, "access": "rwm"},
        {"allow": False, "access": "m"},
        {"allow": False, "access": "rwm", "type": "b"},
        {"allow": False, "access": "rwm", "major": 8},
    ],
)
def test_a_list_of_devices_that_does_not_begin_closed_is_closed(first: dict[str, Any]) -> None:
    linux = filled({"resources": {"devices": [first]}}, Rules(), "x86_64")
    assert linux["resources"]["devices"] == [{"allow": False, "access": "rwm"}, first]


def test_required_seccomp_is_not_filled_in() -> None:
    assert verdict_of_bundle(config(), Rules(seccomp="required")) == "seccomp"
    own = config(linux={"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}})
    assert verdict_of_bundle(own, Rules(seccomp="required")) is None


def test_a_limit_of_its_own_files_wins_over_its_fields() -> None:
    resources = {"memory": {"limit": 1 << 20}, "unified": {"memory.max": "max"}}
    found = asked(bundle_spec(), config(linux={"resources": resources}))
    assert found.limits.memory_bytes is None


@pytest.mark.parametrize("host", [{"hostID": 0}, {}])  # left out it is 0
def test_root_by_another_number_is_root(host: dict[str, int]) -> None:
    mapped = [{"containerID": 0, "hostID": 100_000, "size": 1000}, {"containerID": 1000, **host}]
    theirs = config(
        process={"user": {"uid": 1000, "gid": 1000}},
        linux={**namespaces(*OWN_NAMESPACES, "user"), "uidMappings": mapped},
    )
    assert verdict_of_bundle(theirs) is None
    assert verdict_of_bundle(theirs, Rules(root=False)) == "root"
    mapped.pop()
    assert verdict_of_bundle(theirs, Rules(root=False)) is None


def test_a_mount_of_the_bundle_itself_needs_no_root() -> None:
    theirs = config(mounts=[mount("bind", "/data", "ro", source="/srv/box/data")])
    assert verdict_of_bundle(theirs, Rules(mount_roots=())) is None
    elsewhere = config(mounts=[mount("bind", "/data", "ro", source="/srv/boxes")])
    assert verdict_of_bundle(elsewhere, Rules(mount_roots=())) == "mount_roots"
    found = judge(asked(bundle_spec(), elsewhere), Rules(mount_roots=("/srv/boxes/",)))
    assert found is None


@pytest.mark.parametrize(
    ("options", "readonly"),
    [
        (["bind", "ro"], True),
        (["rbind", "ro", "rro"], True),
        (["rbind", "ro"], False),  # what is mounted below stays writable
        (["bind", "ro", "rw"], False),
        (["bind", "ro", "rrw"], False),  # the last word, wherever it stands
        (["rbind", "rrw", "ro", "rro"], False),
    ],
)
def test_a_mount_that_may_not_be_written_must_be_so_with_all_below_it(
    options: list[str], readonly: bool
) -> None:
    theirs = config(mounts=[mount("bind", "/data", *options, source="/srv/box/data")])
    rule = verdict_of_bundle(theirs, Rules(mounts_writable=False))
    assert rule == (None if readonly else "mounts_writable")
