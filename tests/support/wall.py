"""A wall before a local port: its packets vanish both ways, as on a cable that was pulled.

Neither side is told: what is sent stays unacknowledged, which no signal to a process and no
closed socket can bring about.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.requirements import find_command


@contextmanager
def wall(port: int) -> Iterator[None]:
    """While the context lasts."""
    with ExitStack() as stack:
        for side in ("--dport", "--sport"):
            rule = ["INPUT", "-i", "lo", "-p", "tcp", side, str(port), "-j", "DROP"]
            _iptables("-I", rule)
            stack.callback(_iptables, "-D", rule)
        yield


def _iptables(action: str, rule: list[str]) -> None:
    command = find_command("iptables")
    assert command is not None
    subprocess.run([command, "-w", action, *rule], check=True, capture_output=True, timeout=60)
