"""How fast docker and podman pipe the output of an exec."""

from __future__ import annotations

import os
import subprocess
from time import perf_counter

from tests.bench.contenders import IMAGE, CommandLine, ContenderFailed, fresh_name
from tests.bench.places import IDLE

READ_BYTES = 1 << 20
NAMED = ("docker", "podman")


def rate(peer: CommandLine, args: tuple[str, ...], count: int) -> float:
    """Bytes a second of `args`, which print `count`, run by `docker exec` or `podman exec`.

    Raises:
        ContenderFailed: it said no, or other than `count` bytes came.
    """
    program, name = peer.run[0], fresh_name("pipe")
    begin = (program, "run", "--detach", "--network", "none", "--name", "{}", IMAGE, *IDLE)
    peer.command(begin, name)
    try:
        return _piped(peer, [program, "exec", name, *args], count)
    finally:
        peer.command((program, "rm", "--force", "{}"), name)


def _piped(peer: CommandLine, argv: list[str], count: int) -> float:
    before = perf_counter()
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=os.environ | peer.environment,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        came = 0
        while data := process.stdout.read(READ_BYTES):
            came += len(data)
    if process.returncode != 0 or came != count:
        raise ContenderFailed(peer.name, f"{came} of {count} bytes, status {process.returncode}")
    return count / (perf_counter() - before)
