"""doctor: what on this machine works for the agent, what does not, and what to do about it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from nats.aio.client import Client
from rich.console import Console
from rich.table import Table

from wharfside_agent.bus.client import StrictClient
from wharfside_agent.bus.options import location
from wharfside_agent.composition.bus import bus_options
from wharfside_agent.core.placement import Places
from wharfside_agent.machine import delegated_here
from wharfside_agent.runtime.criu import probe_criu
from wharfside_agent.runtime.favored_moves import are_favored
from wharfside_agent.runtime.probe import RUNTIMES, Probed, find_program, probe
from wharfside_agent.settings import Settings
from wharfside_protocol.assets import EVT
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.refusals import refusal

NATS_SECONDS = 5.0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing examined. `needed`: the agent cannot do its work without it."""

    name: str
    ok: bool
    needed: bool
    says: str
    advice: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Everything that the agent stands on. Changes nothing that lasts."""
    checks: list[Callable[[Settings], Awaitable[list[Finding]]]] = [
        _privileges,
        _cgroups,
        _runtimes,
        _criu,
        _folders,
        _bus,
    ]
    found: list[Finding] = []
    for check in checks:
        found += await check(settings)
    return found


async def _privileges(_settings: Settings) -> list[Finding]:
    root = os.geteuid() == 0
    says = "root" if root else f"uid {os.geteuid()}"
    advice = "" if root else "run the agent as root: namespaces and cgroups need it"
    return [Finding(name="privileges", ok=root, needed=True, says=says, advice=advice)]


async def _cgroups(settings: Settings) -> list[Finding]:
    try:
        mounts, delegated = delegated_here(settings)
    except (WharfsideError, OSError) as error:
        advice = "mount cgroup2 on /sys/fs/cgroup"
        return [Finding(name="cgroups", ok=False, needed=True, says=str(error), advice=advice)]
    kinds = ", ".join(sorted(mounts.controllers)) if mounts.version == "v1" else "unified"
    advice = "" if mounts.unified else "works; version 2 also gives pressure figures (PSI)"
    says = f"{mounts.version} ({kinds}), containers below {delegated}"
    return [Finding(name="cgroups", ok=True, needed=True, says=says, advice=advice), _moves()]


def _moves() -> Finding:
    says, advice = "wait for nothing", ""
    if not are_favored():
        says = "the first in a while waits 4 to 18 ms"
        advice = "works; on a host of the agent's own set runtime.favordynmods"
    return Finding(name="cgroup moves", ok=True, needed=False, says=says, advice=advice)


async def _runtimes(settings: Settings) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="wharfside-doctor-") as folder:
        places = Places(run_dir=Path(folder), state_dir=Path(folder))
        try:
            probed = await probe(places)
        except WharfsideError as error:
            advice = "apt-get install conmon crun runc"
            says = error.message
            return [Finding(name="runtime", ok=False, needed=True, says=says, advice=advice)]
    return [
        Finding(
            name="conmon",
            ok=True,
            needed=True,
            says=f"{probed.conmon_version} ({probed.conmon})",
        ),
        *(_runtime(probed, name, settings.runtime.default) for name in RUNTIMES),
    ]


def _runtime(probed: Probed, name: str, default: str) -> Finding:
    for found in probed.usable:
        if found.info.name == name:
            can = "with checkpoints" if found.info.checkpoint else "without checkpoints"
            says = f"{found.info.version}, {can} ({found.info.path})"
            return Finding(name=name, ok=True, needed=name == default, says=says)
    says = probed.refused.get(name, "not found")
    advice = f"apt-get install {name}" if "not installed" in says else "the other one is used"
    return Finding(name=name, ok=False, needed=False, says=says, advice=advice)


async def _criu(_settings: Settings) -> list[Finding]:
    """In CRIU's own words: what it complains of is what an operator must look for."""
    criu = await probe_criu(find_program("criu"))
    version = f"{criu.version} ({criu.path}): " if criu.version else ""
    advice = "" if criu.usable else "only checkpoints need it: apt-get install criu (4.2 or newer)"
    says = f"{version}{criu.says}"
    return [Finding(name="criu", ok=criu.usable, needed=False, says=says, advice=advice)]


async def _folders(settings: Settings) -> list[Finding]:
    return [_folder("state_dir", settings.state_dir), _folder("run_dir", settings.run_dir)]


def _folder(name: str, path: Path) -> Finding:
    there = next(each for each in (path, *path.parents) if each.exists())
    ok = os.access(there, os.W_OK)
    free = shutil.disk_usage(there).free >> 20
    advice = "" if ok else f"let the agent write {there}"
    says = f"{path} ({free} MiB free)"
    return Finding(name=name, ok=ok, needed=True, says=says, advice=advice)


async def _bus(settings: Settings) -> list[Finding]:
    refused: list[str] = []
    for server in settings.nats.servers:
        try:
            client = await _connected(settings, server)
        except Exception as error:
            refused.append(f"{location(server)}: {str(error) or type(error).__name__}")
            continue
        try:
            there = Finding(name="nats", ok=True, needed=True, says=location(server))
            return [there, await _streams(client)]
        finally:
            await client.close()
    says = "; ".join(refused)
    known = refusal(says)
    advice = known.advice if known else "is the server up, and are nats.servers right?"
    return [Finding(name="nats", ok=False, needed=True, says=says, advice=advice)]


async def _connected(settings: Settings, server: str) -> Client:
    """
    Raises:
        whatever keeps us out: nats-py tells it to the callback, and itself only
        says that no server is left.
    """
    refused: list[Exception] = []

    async def hear(error: Exception) -> None:
        refused.append(error)

    arguments = bus_options(settings).connect_arguments(server) | {"error_cb": hear}
    try:
        client = StrictClient()
        await asyncio.wait_for(client.connect(**arguments), NATS_SECONDS)
        return client
    except Exception as error:
        raise (refused[0] if refused else error) from error


async def _streams(client: Client) -> Finding:
    """With least privilege an agent may not ask; then its presence tells `no-stream`."""
    try:
        await client.jetstream().stream_info(EVT)
    except Exception as error:
        says = f"{EVT} not seen: {type(error).__name__}"
        advice = "run `wharfside bootstrap` once for the fleet (an agent may lack the right to ask)"
        return Finding(name="streams", ok=False, needed=False, says=says, advice=advice)
    return Finding(name="streams", ok=True, needed=False, says=f"{EVT} is there")


def show(findings: list[Finding], *, as_json: bool) -> None:
    """A table for people, or one JSON document."""
    if as_json:
        print(msgspec.json.encode(findings).decode())  # noqa: T201
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        mark = "ok" if finding.ok else ("FAIL" if finding.needed else "-")
        table.add_row(mark, finding.name, finding.says, finding.advice)
    Console().print(table)
