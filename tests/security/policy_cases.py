"""What a caller may not have by default, as real commands: each with the rule that it meets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.integration.world import Site
from tests.support.bundle import write_bundle

from wharfside_client.specs import container
from wharfside_protocol.commands import CreateArgs
from wharfside_protocol.specs import Io, Limits, Mount, Network, ProcessSpec, Restart

TIGHT = """
[policy]
runtimes = ["crun"]
restart = ["no", "on-failure"]
mounts_writable = false
ship_logs = false
limits_at_most = { pids = 100 }
"""

OPEN = """
[policy]
privileged = true
hooks = true
runtime_annotations = true
unknown_fields = true
namespace_roots = ["/proc", "/run/netns"]
"""

Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Case:
    """`fields` of a container from a rootfs, or a `change` of a bundle's config.json."""

    name: str
    rule: str
    fields: dict[str, Any] = field(default_factory=dict)
    change: Change | None = None
    mounts_from: str | None = None

    def __str__(self) -> str:
        return self.name

    def spec(self, site: Site, name: str) -> CreateArgs:
        limits = self.fields.get("limits", Limits(pids=50))
        fields = self.fields | {"limits": limits}
        if self.mounts_from is not None:
            shared = site.world.roots / self.mounts_from
            shared.mkdir(exist_ok=True)
            fields["mounts"] = [Mount(source=str(shared), target="/shared", readonly=False)]
        if self.change is None:
            fields.setdefault("process", ProcessSpec(args=["true"]))
            process = fields.pop("process")
            made = container(name, process.args, rootfs=str(site.world.rootfs), **fields)
            return _with(made, process=process)
        bundle = self.bundle(site, name)
        return container(name, bundle=bundle, **fields)

    def bundle(self, site: Site, name: str) -> str:
        folder = write_bundle(
            site.world.roots / f"bundle-{name}", site.world.rootfs, ["true"], cgroup="/x"
        )
        path = folder / "config.json"
        config = json.loads(path.read_text())
        assert self.change is not None
        self.change(config)
        path.write_text(json.dumps(config))
        return str(folder)


def _with(made: CreateArgs, **fields: Any) -> CreateArgs:
    from msgspec.structs import replace

    return replace(made, **fields)


def _set(*path: str, to: Any) -> Change:
    def change(config: dict[str, Any]) -> None:
        *above, last = path
        for name in above:
            config = config.setdefault(name, {})
        config[last] = to

    return change


def _add(*path: str, item: Any) -> Change:
    def change(config: dict[str, Any]) -> None:
        *above, last = path
        for name in above:
            config = config.setdefault(name, {})
        config[last] = [*config.get(last, []), item]

    return change


def _shares(kind: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        own = config["linux"]["namespaces"]
        config["linux"]["namespaces"] = [each for each in own if each["type"] != kind]

    return change


_FUSE = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
_SYSFS = {"destination": "/sys2", "type": "sysfs", "source": "sysfs", "options": ["ro"]}
_FIRST = {"class": "IOPRIO_CLASS_BE", "priority": 0}
_CAPABILITIES = ["CAP_CHOWN", "CAP_SYS_ADMIN"]

CASES = (
    Case("runtime", "runtimes", {"runtime": "runc"}),
    Case("restart", "restart", {"restart": Restart(policy="always")}),
    Case("writable mount", "mounts_writable", mounts_from="shared"),
    Case("host network", "host_namespaces", {"network": Network(mode="host")}),
    Case(
        "network of another process",
        "namespace_roots",
        {"network": Network(mode="path", path="/proc/self/ns/net")},
    ),
    Case(
        "new privileges",
        "new_privileges",
        {"process": ProcessSpec(args=["true"], no_new_privileges=False)},
    ),
    Case("shipped logs", "ship_logs", {"io": Io(ship=True)}),
    Case("limits", "limits_at_most", {"limits": Limits(pids=101)}),
    Case("no limits", "limits_at_most", {"limits": Limits(cpu_weight=10)}),
    Case("bundle: host pids", "host_namespaces", change=_shares("pid")),
    Case("bundle: host network", "host_namespaces", change=_shares("network")),
    Case(
        "bundle: capabilities",
        "capabilities",
        change=_set("process", "capabilities", "bounding", to=_CAPABILITIES),
    ),
    Case("bundle: device", "devices", change=_add("linux", "resources", "devices", item=_FUSE)),
    Case("bundle: second sysfs", "mount_types", change=_add("mounts", item=_SYSFS)),
    Case("bundle: sysctl", "sysctls", change=_set("linux", "sysctl", to={"kernel.msgmax": "99"})),
    Case("bundle: I/O priority", "scheduling", change=_set("process", "ioPriority", to=_FIRST)),
    Case(
        "bundle: annotation",
        "runtime_annotations",
        change=_set("annotations", to={"run.oci.keep_original_groups": "1"}),
    ),
    Case("bundle: field", "unknown_fields", change=_set("linux", "tomorrow", to={"x": 1})),
)
