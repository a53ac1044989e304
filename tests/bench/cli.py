"""`tests/bench/run`: which scenarios, in which length, and where the figures go."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path
from time import perf_counter

import msgspec
from rich.console import Console
from tests.bench import places
from tests.bench.bench import Bench, sweep
from tests.bench.comparison import Comparison
from tests.bench.contenders import ContenderFailed
from tests.bench.helper import HelperFailed
from tests.bench.nats_server import ServerFailed, nats_server
from tests.bench.places import BenchRunning, Places
from tests.bench.scenarios import SCENARIOS
from tests.bench.table import show

from wharfside_agent.runtime.favored_moves import are_favored

FAILED = 2
TABLE_COLUMNS = 112


def main() -> int:
    """0: every goal is met. 1: not all. 2: the bench itself could not run."""
    options = _options()
    if os.geteuid() != 0:
        print("bench: needs root: containers are made", file=sys.stderr)
        return FAILED
    where = places.from_environment()
    console = Console(stderr=True)
    try:
        with where.claimed():
            return _measured(where, options, console)
    except (BenchRunning, ContenderFailed, HelperFailed, ServerFailed, OSError) as error:
        print(f"bench: {error!r}", file=sys.stderr)
        return FAILED


def _measured(where: Places, options: argparse.Namespace, console: Console) -> int:
    try:
        where.lay_out()
        with nats_server(where.run / "nats") as server:
            bench = Bench(options.quick, where, server.url, server.restart)
            comparisons, failed = _run(bench, options.only or list(SCENARIOS), console)
    finally:
        sweep(where)
    bench.note(moves())
    show(comparisons, bench.notes, Console(width=max(TABLE_COLUMNS, console.width)))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(comparisons)) + b"\n")
    if failed:
        return FAILED
    return 0 if all(one.met for one in comparisons) else 1


def moves() -> str:
    """Whether launches wait for the kernel: on this host, so for all that are measured."""
    wait = "wait for nothing (favordynmods)" if are_favored() else "wait for the kernel"
    return f"moves between cgroups {wait}, for ours and all others alike"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run",
        description="Ours beside a bare conmon + crun script, ctr, podman and docker.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under 3 minutes")
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="may be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the comparisons there")
    return parser.parse_args()


def _run(bench: Bench, names: list[str], console: Console) -> tuple[list[Comparison], list[str]]:
    """The comparisons, and the names of scenarios that broke: the others go on."""
    comparisons: list[Comparison] = []
    failed: list[str] = []
    for name in names:
        before = perf_counter()
        try:
            comparisons += SCENARIOS[name](bench)
        except Exception as error:
            failed.append(name)
            bench.note(f"{name} broke: {error!r}")
            traceback.print_exc()
        console.print(f"{name}: {perf_counter() - before:.1f} s")
    return comparisons, failed
