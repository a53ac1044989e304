"""PSS of a running, idle container beyond its own processes: monitors, and the agent's growth."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.comparison import BESIDE, Comparison, compare, scaled
from tests.bench.contenders import IMAGE, CommandLine, fresh_name
from tests.bench.memory import processes, pss_bytes
from tests.bench.ours import Ours
from tests.bench.places import IDLE

NAME = "memory-per-container"
BUDGET_MB = 1.2
MEGABYTE = 1e-6


def compare_all(bench: Bench) -> Iterator[Comparison]:
    count = bench.pick(60, 200)
    with bench.node() as ours:
        total, monitors = _ours(bench, ours, count) if ours else (None, None)
    shim = _containerd(bench, bench.pick(8, 40))
    for against, theirs, goal in (
        ("budget", BUDGET_MB, 1.0),
        ("conmon alone", scaled(monitors, MEGABYTE), BESIDE),
        ("containerd shim", scaled(shim, MEGABYTE), BESIDE),
    ):
        yield compare(NAME, "MB", scaled(total, MEGABYTE), against, theirs, goal=goal)


def _ours(bench: Bench, ours: Ours, count: int) -> tuple[float, float]:
    """Bytes a container: all told, and the conmons alone."""
    ours.once()  # what the agent loads for its first container is not a container's
    before = pss_bytes(ours.agent_pid())
    ours.hold(count, bench.places.bundle("idle", IDLE))
    growth = pss_bytes(ours.agent_pid()) - before
    monitors = sum(pss_bytes(pid) for pid in ours.monitor_pids())
    return (monitors + growth) / count, monitors / count


def _containerd(bench: Bench, count: int) -> float | None:
    """Bytes a container of its shims and of containerd's own growth."""
    ctr = bench.command_lines().get("ctr")
    if ctr is None:
        return None
    names = [fresh_name("idle") for _ in range(count)]
    before = _pss_of("containerd", ctr)
    try:
        for name in names:
            ctr.command(("ctr", "run", "--detach", IMAGE, "{}", *IDLE), name)
        growth = _pss_of("containerd", ctr) - before
        return (_pss_of("containerd-shim", ctr) + growth) / count
    finally:
        for name in names:
            ctr.command(("ctr", "task", "rm", "--force", "{}"), name)
            ctr.command(("ctr", "container", "rm", "{}"), name)


def _pss_of(program: str, ctr: CommandLine) -> int:
    """All of setup-peers' own `program`: its shims name its socket, containerd its config."""
    marks = {
        "containerd-shim": ctr.environment["CONTAINERD_ADDRESS"],
        "containerd": ctr.environment["CONTAINERS_CONF"].replace(
            "containers.conf", "containerd.toml"
        ),
    }

    def wanted(words: list[str]) -> bool:
        own = words[0].rpartition("/")[2]
        right = own == program if program == "containerd" else own.startswith(program)
        return right and marks[program] in words

    return sum(pss_bytes(pid) for pid in processes(wanted))
