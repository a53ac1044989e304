"""Two nodes as two hosts have them: network and mount namespaces of their own, on one bridge.

On the bridge's own address, in the namespace of the test, are the server and whoever is a peer. A
host has a pod beside it: a network namespace for containers, at the same path on both hosts, with
the same addresses in it. Which of the two is plugged into the bridge is the test's to say.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

COMMAND_S = 30.0
POD_MAC = "02:57:53:00:00:09"
"""On both hosts, so that no peer has to learn another one."""


@dataclass(frozen=True)
class Hosts:
    """`stem` begins all names. `third` is the byte of 10.78.`third`.0/24 that is ours."""

    stem: str
    third: int

    @property
    def gateway(self) -> str:
        """Of the bridge, where the test is."""
        return self.at(1)

    @property
    def pod_address(self) -> str:
        return self.at(9)

    @property
    def pod_path(self) -> str:
        """As a container's spec names it, on either host."""
        return f"/run/netns/{self.stem}p"

    def at(self, last: int) -> str:
        return f"10.78.{self.third}.{last}"

    def within(self, host: str) -> tuple[str, ...]:
        """What runs a command on `host`, `a` or `b`; it becomes the command."""
        path = shutil.which("nsenter"), shutil.which("unshare")
        assert all(path), path
        script = f'mount --bind /run/netns/{self.stem}p{host} {self.pod_path} && exec "$@"'
        return (
            *("nsenter", f"--net=/run/netns/{self.stem}{host}"),
            *("unshare", "--mount", "sh", "-c", script, "sh"),
        )

    def plug(self, host: str) -> None:
        """The pod of `host` is the one that peers reach."""
        for each in ("a", "b"):
            _ip(f"link set {self.stem}p{each} nomaster")
        _ip(f"link set {self.stem}p{host} master {self.stem}")

    def give_address(self, host: str) -> None:
        _ip(f"-n {self.stem}p{host} addr add {self.pod_address}/24 dev eth0")


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True, timeout=COMMAND_S)


@contextmanager
def open_hosts() -> Iterator[Hosts]:
    """Pods are up, in no bridge, and without an address."""
    hosts = Hosts(f"wsh{os.getpid()}", os.getpid() % 256)
    with ExitStack() as stack:

        def made(words: str, undo: str) -> None:
            _ip(words)
            stack.callback(_ip, undo)

        bridge = hosts.stem
        made(f"link add {bridge} type bridge", f"link del {bridge}")
        _ip(f"addr add {hosts.gateway}/24 dev {bridge}")
        _ip(f"link set {bridge} up")
        made(f"netns add {bridge}p", f"netns del {bridge}p")
        for number, host in enumerate(("a", "pa", "b", "pb"), start=2):
            name = f"{bridge}{host}"
            made(f"netns add {name}", f"netns del {name}")
            made(
                f"link add {name} type veth peer name eth0 netns {name}",
                f"link del {name}",
            )
            _ip(f"link set {name} up")
            _ip(f"-n {name} link set lo up")
            if host.startswith("p"):
                _ip(f"-n {name} link set eth0 address {POD_MAC}")
            else:
                _ip(f"-n {name} addr add {hosts.at(number)}/24 dev eth0")
                _ip(f"link set {name} master {bridge}")
            _ip(f"-n {name} link set eth0 up")
        yield hosts
