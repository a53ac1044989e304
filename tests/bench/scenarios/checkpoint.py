"""A checkpoint that ends its container, and the restore, beside runc's own; so the downtime, too.

Ours also copies and digests, and syncs the image to the disk before the container is killed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bare_runc import bare_runc, holds
from tests.bench.bench import Bench
from tests.bench.comparison import BESIDE, Comparison, compare
from tests.bench.contenders import ContenderFailed
from tests.bench.places import IDLE, ROOT
from tests.bench.rounds import Measure, interleave, medians

NAME = "checkpoint"
MEGABYTES = 256
HOLDS = (
    "/bin/busybox",
    "sh",
    "-c",
    f"x=$(busybox yes 0123456789abcdef | busybox head -c {MEGABYTES}m); busybox sleep 100000; :",
)
CRIU = ROOT / ".test-env" / "criu" / "bin"


def compare_all(bench: Bench) -> Iterator[Comparison]:
    if CRIU.is_dir():
        os.environ["PATH"] = os.pathsep.join([str(CRIU), os.environ["PATH"]])
    if shutil.which("criu") is None:
        bench.note("no checkpoints: run tests/support/criu prepare first")
        return
    yield from _of(bench, "idle", IDLE, 0)
    yield from _of(bench, f"{MEGABYTES} MiB", HOLDS, MEGABYTES << 20)


def _of(bench: Bench, what: str, args: tuple[str, ...], size: int) -> Iterator[Comparison]:
    bundle = _roomy(bench.places.bundle(f"{NAME}-{what.replace(' ', '')}", args))
    seen: dict[str, list[float]] = {name: [] for name in ("dump", "restore", "their-restore")}
    with bench.node() as ours, bare_runc(bench.places, bundle) as bare:

        def theirs() -> float:
            dumped, restored = bare.cycle()
            seen["their-restore"].append(restored)
            return dumped

        measures: dict[str, Measure] = {}
        try:
            holds(bare.start(), size)
            measures["theirs"] = theirs
        except ContenderFailed as error:
            bench.note(f"not available: {error}")
        if ours:
            name, pid = ours.hold_checkpointable(bundle)
            holds(pid, size)

            def mine() -> float:
                cycle = ours.checkpoint_cycle(name)
                seen["restore"].append(cycle.restored)
                seen["dump"].append(cycle.frozen)
                return cycle.dumped

            measures["ours"] = mine
        figures = medians(interleave(measures, bench.pick(3, 9)))
    rest = medians(seen)
    title = f"{NAME}, {what}"
    yield _row(f"{title}: dump", figures.get("ours"), figures.get("theirs"), 1 / 1.3)
    yield _row(f"{title}: restore", rest.get("restore"), rest.get("their-restore"), BESIDE)
    down = None if not rest.get("dump") else rest["dump"] + rest["restore"]
    bare_down = None if not rest.get("their-restore") else figures["theirs"] + rest["their-restore"]
    yield _row(f"{title}: downtime", down, bare_down, BESIDE)


def _roomy(bundle: Path) -> Path:
    """The floor's memory limit is for small programs."""
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    config["linux"]["resources"]["memory"]["limit"] = 4 * MEGABYTES << 20
    path.write_text(json.dumps(config))
    return bundle


def _row(name: str, ours: float | None, theirs: float | None, goal: float) -> Comparison:
    milliseconds = [None if value is None else value * 1000 for value in (ours, theirs)]
    return compare(name, "ms", milliseconds[0], "bare runc", milliseconds[1], goal=goal)
