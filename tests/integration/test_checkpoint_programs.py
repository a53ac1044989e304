"""Programs with more than one state to lose: threads, files, pipes, sockets, connections."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.counting import whole_lines
from tests.integration.world import Site
from tests.support.bundle import write_bundle
from tests.support.eventually import eventually
from tests.support.requirements import requires
from tests.support.rootfs import build_rootfs

from wharfside_client.specs import process
from wharfside_protocol.commands import CreateArgs
from wharfside_protocol.errors import RuntimeFailed
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Network, Source

pytestmark = requires("criu", "/usr/bin/python3")

EVERYTHING = """
import os, socket, threading
here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
read, write = os.pipe()
kept = open("/tmp/kept", "w+")
gone = open("/tmp/gone", "w+"); os.unlink("/tmp/gone"); gone.write("deleted"); gone.flush()
turns, bad = {"pair": 0, "pipe": 0}, []

def talk(name, send, take):
    while not bad:
        word = b"%d;" % turns[name]
        send(word)
        if take(64) != word:
            bad.append(name)
        turns[name] += 1
        threading.Event().wait(0.001)

ways = {"pair": (here.sendall, there.recv),
        "pipe": (lambda data: os.write(write, data), lambda most: os.read(read, most))}
for name, (send, take) in ways.items():
    threading.Thread(target=talk, args=(name, send, take), daemon=True).start()
heap, number, before = ["x" * 1000] * 1000, 0, dict(turns)
while True:
    while any(turns[name] == before[name] for name in turns) and not bad:
        threading.Event().wait(0.005)
    kept.write(f"{number}\\n"); kept.flush(); kept.seek(0)
    checks = [not bad, len(kept.readlines()) == number + 1, sum(map(len, heap)) == 1000000]
    gone.seek(0); checks.append(gone.read() == "deleted"); before = dict(turns)
    os.write(1, f"{number} {'good' if all(checks) else checks}\\n".encode())
    number += 1
"""
"""All in one write a line: else a line may be in two runs' logs."""

ECHOES = """
import os, socket
server = socket.create_server(("", 7))
os.write(1, b"listens\\n")
peer, _ = server.accept()
count = 0
while data := peer.recv(65536):
    count += len(data)
    peer.sendall(b"%d:" % count + data)
"""

LOCKS = """
import fcntl, os, signal
whole, part = open("/tmp/whole", "w"), open("/tmp/part", "w")
fcntl.flock(whole, fcntl.LOCK_EX)
fcntl.lockf(part, fcntl.LOCK_EX, 10, 5)
os.write(1, b"holds\\n")
signal.pause()
"""
"""A whole file, as flock(2) has it, and ten bytes of another, as fcntl(2)."""

TRIES = """
import fcntl, sys
NOW = fcntl.LOCK_EX | fcntl.LOCK_NB
whole, part = open("/tmp/whole", "w"), open("/tmp/part", "w")
fcntl.lockf(part, NOW, 5, 0)
held = 0
for lock in (lambda: fcntl.flock(whole, NOW), lambda: fcntl.lockf(part, NOW, 1, 14)):
    try:
        lock()
    except BlockingIOError:
        held += 1
sys.exit(held)
"""


def python_bundle(site: Site, program: str) -> Path:
    """The machine's own Python, read-only, in a root of its own."""
    folder = site.world.roots / site.name("python")
    write_bundle(
        folder,
        build_rootfs(folder / "rootfs"),
        ["/usr/bin/python3", "-u", "-c", program],
        cgroup="/ignored",
    )
    config = json.loads((folder / "config.json").read_text())
    config["root"]["path"] = "rootfs"
    config["mounts"].append(
        {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}
    )
    for part in ("lib", "lib64"):
        (folder / "rootfs" / part).symlink_to(f"usr/{part}")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def spec(site: Site, name: str, program: str, network: Network | None = None) -> CreateArgs:
    source = Source(bundle=str(python_bundle(site, program)))
    return CreateArgs(container=name, source=source, network=network, checkpointable=True)


def lines(site: Site, incarnation: str) -> list[str]:
    logs = sorted((site.agent.folder / "state" / "logs" / incarnation.lower()).glob("*-init.log"))
    told = [line for log in logs for line in whole_lines(log)]
    return [line.split(" ", 3)[3] for line in told]


async def test_threads_files_a_pipe_and_a_socket_pair(site: Site) -> None:
    name = site.name("python")
    made = await site.node.run(spec(site, name, EVERYTHING))

    async def further(count: int) -> None:
        def counted() -> bool:
            return len(lines(site, made.incarnation)) >= count

        await eventually(counted, "it counts", within_s=BOUND_S)

    await further(5)
    await site.node.checkpoint(name, "one", exit=True)
    before = len(lines(site, made.incarnation))
    await site.node.restore(name, "one")
    await further(before + 5)
    await site.node.stop(name, grace_s=0)
    told = lines(site, made.incarnation)
    assert told == [f"{number} good" for number in range(len(told))]


async def test_file_locks(site: Site) -> None:
    """With `file_locks` they are held after a restore as before it; without, it is refused."""
    name = site.name("locks")
    made = await site.node.run(spec(site, name, LOCKS))
    await eventually(
        lambda: lines(site, made.incarnation) == ["holds"], "it holds them", within_s=BOUND_S
    )
    with pytest.raises(RuntimeFailed) as refused:
        await site.node.checkpoint(name, "refused")
    assert "--file-locks" in refused.value.details["log"]
    await site.node.checkpoint(name, "one", file_locks=True, exit=True)
    await site.node.restore(name, "one")
    tried = await site.node.exec(name, process(["/usr/bin/python3", "-c", TRIES]))
    assert (await site.told.exit(name, tried.process)).exit_code == len(("whole", "part"))
    await site.node.stop(name, grace_s=0)


@dataclass(frozen=True)
class Host:
    """A network namespace, with an address on the other side of a veth pair."""

    namespace: str
    address: str


@pytest.fixture
def host() -> Iterator[Host]:
    name, third = f"wst{os.getpid()}", os.getpid() % 256
    ours, theirs = f"10.77.{third}.1", f"10.77.{third}.2"

    def ip(words: str) -> None:
        subprocess.run(["ip", *words.split()], check=True, capture_output=True, timeout=BOUND_S)

    ip(f"netns add {name}")
    try:
        ip(f"link add {name}a type veth peer name {name}b netns {name}")
        ip(f"addr add {ours}/24 dev {name}a")
        ip(f"link set {name}a up")
        ip(f"-n {name} addr add {theirs}/24 dev {name}b")
        ip(f"-n {name} link set {name}b up")
        ip(f"-n {name} link set lo up")
        yield Host(f"/run/netns/{name}", theirs)
    finally:
        ip(f"netns del {name}")


@requires("ip", "iptables")
async def test_an_established_connection(site: Site, host: Host) -> None:
    """With `tcp`: the peer's connection outlasts checkpoint and restore; without, it is refused."""
    name = site.name("echo")
    network = Network(mode="path", path=host.namespace)
    made = await site.node.run(spec(site, name, ECHOES, network))
    await eventually(
        lambda: lines(site, made.incarnation) == ["listens"], "it listens", within_s=BOUND_S
    )
    reader, writer = await bounded(asyncio.open_connection(host.address, 7), "connection")
    try:
        writer.write(b"one")
        assert await bounded(reader.readexactly(5), "echo") == b"3:one"
        with pytest.raises(RuntimeFailed) as refused:
            await site.node.checkpoint(name, "refused")
        assert "--tcp-established" in refused.value.details["log"]
        writer.write(b"two")
        assert await bounded(reader.readexactly(5), "echo") == b"6:two"
        await site.node.checkpoint(name, "one", tcp=True, exit=True)
        assert (await site.told.exit(name)).reason == ExitReason.CHECKPOINT
        writer.write(b"three")
        await site.node.restore(name, "one")
        assert await bounded(reader.readexactly(8), "echo") == b"11:three"
        failed = await site.told.event(name, "checkpoint-failed")
        assert "--tcp-established" in failed.data["error"]["details"]["log"]
    finally:
        writer.close()
    await site.node.stop(name, grace_s=0)
