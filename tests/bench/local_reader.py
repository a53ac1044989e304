"""The floor of an attach: conmon and crun alone, its socket read by the bench itself."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from tests.bench.contenders import ContenderFailed, fresh_name
from tests.bench.places import Places

PACKET_BYTES = 64 * 1024
"""More than conmon ever sends at once: 8 KiB and a byte that names the stream."""
STDOUT = 2
"""The first byte of a packet of stdout (conmon's STDOUT_PIPE)."""
WORD_SECONDS = 60
NAME = "conmon's reader"


def rate(places: Places, bundle: Path, *, log: bool) -> float:
    """Bytes a second that come out of conmon's attach socket, from the start to the end.

    Raises:
        ContenderFailed: conmon or crun said no, or nothing came for WORD_SECONDS.
    """
    with _created(places, bundle, log=log) as (home, crun), _attached(home) as reader:
        before = perf_counter()
        subprocess.run([*crun, "start", home.name], check=True)
        count = _read_all(reader)
        return count / (perf_counter() - before)


def _read_all(reader: socket.socket) -> int:
    count = 0
    try:
        while packet := reader.recv(PACKET_BYTES):
            count += len(packet) - 1 if packet[0] == STDOUT else 0
    except TimeoutError as error:
        raise ContenderFailed(NAME, f"nothing for {WORD_SECONDS} s") from error
    return count


@contextmanager
def _attached(home: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as reader:
        reader.settimeout(WORD_SECONDS)
        folder = os.open(home, os.O_PATH)  # the path itself may be longer than an address
        try:
            reader.connect(f"/proc/self/fd/{folder}/attach")
        finally:
            os.close(folder)
        yield reader


@contextmanager
def _created(places: Places, bundle: Path, *, log: bool) -> Iterator[tuple[Path, list[str]]]:
    """A container that is not started yet: its folder, and crun's command line."""
    runtime = os.environ.get("WHARFSIDE_BENCH_RUNTIME", "/usr/bin/crun")
    crun = [runtime, f"--root={places.floor / 'crun'}"]
    home = places.floor / "containers" / fresh_name("reader")
    shutil.copytree(bundle, home)
    (home / "persist").mkdir()
    created_here, conmons = os.pipe()
    argv = [
        *("conmon", "--api-version", "1", "-c", home.name, "-u", home.name, "-n", home.name),
        *("-r", runtime, "-b", str(home), "-p", str(home / "pidfile")),
        *("--exit-dir", str(places.floor / "exits"), "--persist-dir", str(home / "persist")),
        *("--full-attach", "--no-sync-log", "--runtime-arg", crun[1]),
        *("-l", f"k8s-file:{home / 'log'}" if log else "off"),
    ]
    try:
        subprocess.run(
            argv,
            env=os.environ | {"_OCI_SYNCPIPE": str(conmons)},
            pass_fds=(conmons,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        os.close(conmons)
        conmons = -1
        told = os.read(created_here, 4096)
        if b'"data": -1' in told or not told:
            raise ContenderFailed(NAME, told.decode(errors="replace"))
        yield home, crun
    except (OSError, subprocess.CalledProcessError) as error:
        raise ContenderFailed(NAME, str(error)) from error
    finally:
        os.close(created_here)
        if conmons >= 0:
            os.close(conmons)
        subprocess.run([*crun, "delete", "--force", home.name], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)
