"""The command `wharfside` as operators type it.

In a process of its own where signals, terminals or bytes matter; else within this
one, in a thread, since loading it each time would take most of the time.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.integration.bounds import bounded
from tests.integration.world import Site
from tests.support.requirements import requires
from typer.testing import CliRunner

from wharfside_client.cli.main import make_app

ENTRY = "from wharfside_client.cli.main import main; main()"
COMMAND = (sys.executable, "-c", ENTRY)
WITH_AGENT = requires("root", "conmon", "crun", "busybox-static", "nats-server")


@dataclass(frozen=True)
class Ran:
    """How a run of the CLI ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(url: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NATS_", "WHARFSIDE_"))}
    return {**kept, "NATS_URL": url, "HOME": "/nonexistent", "COLUMNS": "80"}


async def start(url: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(url),
    )


async def cli(url: str, *arguments: str) -> Ran:
    process = await start(url, *arguments)
    out, err = await bounded(process.communicate(), f"wharfside {' '.join(arguments)}")
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def typed(url: str, *arguments: str) -> Ran:
    """As `cli`, without a process of its own."""

    def invoke() -> Ran:
        env = {"NATS_URL": url, "HOME": "/nonexistent"}
        ran = CliRunner().invoke(make_app(), arguments, env=env)
        return Ran(ran.exit_code, ran.stdout, ran.stderr)

    return await bounded(asyncio.to_thread(invoke), f"wharfside {' '.join(arguments)}")


async def on_terminal(url: str, *arguments: str) -> str:
    """What the CLI shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    try:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment(url), "TERM": "xterm-256color"},
        )
        await bounded(process.wait(), "the end")
        os.close(theirs)
        return b"".join(iter(lambda: _read(ours), b"")).decode()
    finally:
        os.close(ours)


def _read(terminal: int) -> bytes:
    """What comes next; nothing once the other side is closed and all of it was read."""
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        assert error.errno == errno.EIO
        return b""


@pytest.fixture
def wharfside(site: Site) -> Callable[..., Any]:
    """The CLI as a process, against the module's server."""

    async def run(*arguments: str) -> Ran:
        return await cli(site.world.server.url, *arguments)

    return run


@pytest.fixture
def quick(site: Site) -> Callable[..., Any]:
    """The CLI in a thread, against the module's server."""

    async def run(*arguments: str) -> Ran:
        return await typed(site.world.server.url, *arguments)

    return run
