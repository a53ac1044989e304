"""What a container gets that the caller did not ask for: the defaults of docker and containerd.

Sources: runtime-spec config.md and config-linux.md; `oci/spec.go` of containerd and
`oci/defaults.go` of moby for which values.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

OCI_VERSION = "1.0.2"
"""The oldest that has all we write, so that old runtimes take it, too."""

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# No inheritable and no ambient set: a program of a user other than root then
# has no capability after its execve (CVE-2022-24769).
CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)

# The host's: each tells of the host, or of other containers on it.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)

READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def _mount(destination: str, kind: str, source: str, *options: str) -> Mapping[str, Any]:
    mount = {"destination": destination, "type": kind, "source": source}
    return MappingProxyType({**mount, "options": options} if options else mount)


# In this order: /dev before what lies in it, /sys before the cgroups.
MOUNTS = (
    _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
    _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    _mount(
        "/dev/pts",
        "devpts",
        "devpts",
        *("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    ),
    _mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
    _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    _mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
    _mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
)

NAMESPACES = ("pid", "ipc", "uts", "mount")
"""Always fresh; `network` is the caller's choice, `cgroup` needs version 2."""

# Everything is denied; the runtime itself adds the devices that runtime-spec
# config-linux.md ("Default Devices") promises, and mknod without use.
DEVICE_RULES = (MappingProxyType({"allow": False, "access": "rwm"}),)

NOFILE_SOFT = 1024
"""What select(2) can hold; a program that can do more raises it itself."""

NOFILE_HARD = 524_288
"""systemd's default; less where the agent itself may not have so many."""
