"""Rules only take away: what two rule sets allow together, each of them allows."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.policy.kit import asked, bundle_spec, config

from wharfside_agent.core.policy.rules import AtMost, Rules
from wharfside_agent.core.policy.verdicts import judge

CAPABILITIES = ("CAP_KILL", "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE")
DEVICES = ("c 10:229", "b 8:0", "b 8:1")
CHOICES: dict[str, tuple[str, ...]] = {
    "runtimes": ("crun", "runc"),
    "bundle_roots": ("/srv", "/var"),
    "mount_roots": ("/data", "/other"),
    "mount_types": ("bind", "proc", "tmpfs", "sysfs"),
    "capabilities": CAPABILITIES,
    "devices": DEVICES,
    "host_namespaces": ("network", "pid"),
    "namespace_roots": ("/run/netns", "/proc"),
    "sysctls": ("kernel.msgmax", "net.core.somaxconn"),
    "rlimits": ("RLIMIT_NOFILE", "RLIMIT_RTPRIO"),
    "security_labels": ("unconfined",),
    "restart": ("no", "always"),
}
SWITCHES = (
    *("bundles", "mounts_writable", "new_privileges", "hooks", "scheduling", "root"),
    *("runtime_annotations", "unknown_fields", "checkpoints", "ship_logs", "privileged"),
)
SECCOMP = ("required", "filled", "free")


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True).map(tuple)


RULES = st.fixed_dictionaries(
    {
        **{name: some(values) for name, values in CHOICES.items()},
        **dict.fromkeys(SWITCHES, st.booleans()),
        "seccomp": st.sampled_from(SECCOMP),
        "limits_required": some(("memory", "pids", "cpu")),
        "pids": st.none() | st.integers(1, 20),
    }
)

CONFIGS = st.fixed_dictionaries(
    {
        "hooks": st.sampled_from([{}, {"prestart": [{"path": "/x"}]}]),
        "mounts": st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from(["bind", "tmpfs", "proc", "overlay"]),
                    "source": st.sampled_from(["/data/x", "/other/x", "/etc"]),
                    "destination": st.sampled_from(["/a", "/proc", "/sys/x"]),
                    "options": st.sampled_from([["ro"], ["rw"], ["shared"]]),
                }
            ),
            max_size=2,
        ),
        "process": st.fixed_dictionaries(
            {
                "capabilities": st.fixed_dictionaries({"bounding": some(CAPABILITIES).map(list)}),
                "noNewPrivileges": st.booleans(),
                "user": st.fixed_dictionaries({"uid": st.integers(0, 1)}),
                "rlimits": some(("RLIMIT_NOFILE", "RLIMIT_RTPRIO")).map(
                    lambda kinds: [{"type": kind, "soft": 1, "hard": 1} for kind in kinds]
                ),
            }
        ),
        "linux": st.fixed_dictionaries(
            {
                "namespaces": some(("pid", "network", "ipc", "uts", "mount")).map(
                    lambda kinds: [{"type": kind} for kind in kinds]
                ),
                "resources": st.fixed_dictionaries(
                    {"pids": st.fixed_dictionaries({"limit": st.integers(-1, 20)})}
                ),
            }
        ),
    }
)


def rules(raw: dict[str, Any]) -> Rules:
    fields = {name: value for name, value in raw.items() if name != "pids"}
    return Rules(**fields, limits_at_most=AtMost(pids=raw["pids"]))


def both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What both allow."""
    met = {name: tuple(v for v in one[name] if v in other[name]) for name in CHOICES}
    met |= {name: one[name] and other[name] for name in SWITCHES}
    most = [each["pids"] for each in (one, other) if each["pids"] is not None]
    return met | {
        "seccomp": min(one["seccomp"], other["seccomp"], key=SECCOMP.index),
        "limits_required": tuple({*one["limits_required"], *other["limits_required"]}),
        "pids": min(most, default=None),
    }


@settings(max_examples=150, deadline=None)
@given(RULES, RULES, CONFIGS)
def test_what_the_narrower_rules_let_in_the_wider_ones_do(
    one: dict[str, Any], other: dict[str, Any], theirs: dict[str, Any]
) -> None:
    wanted = asked(bundle_spec(), config(**theirs))
    if judge(wanted, rules(both(one, other))) is None:
        assert judge(wanted, rules(one)) is None
        assert judge(wanted, rules(other)) is None


@settings(max_examples=150, deadline=None)
@given(RULES, CONFIGS)
def test_a_denial_tells_a_rule_that_opens_it_or_that_nothing_does(
    raw: dict[str, Any], theirs: dict[str, Any]
) -> None:
    """Opening one rule after the other ends, each time with that rule no longer in the way."""
    found, wanted = rules(raw), asked(bundle_spec(), config(**theirs))
    seen: list[str] = []
    while (denial := judge(wanted, found)) is not None:
        assert denial.rule not in seen and denial.says and denial.allowed
        seen.append(denial.rule)
        found = opened(found, denial.rule)
        if denial.rule == "host_namespaces" and "mount" in wanted.shared:
            return  # the node's mounts are nobody's


def opened(found: Rules, rule: str) -> Rules:
    from msgspec.structs import replace

    value: Any = getattr(found, rule)
    if isinstance(value, bool):
        return replace(found, **{rule: True})
    wide: dict[str, Any] = {
        "seccomp": "free",
        "limits_at_most": AtMost(),
        "limits_required": (),
        "capabilities": ("all",),
        "devices": ("a *:*",),
        "host_namespaces": ("network", "pid", "ipc", "uts"),
        "bundle_roots": None,
        "mount_roots": None,
        "namespace_roots": ("/",),
    }
    return replace(found, **{rule: wide.get(rule, ("*",))})
