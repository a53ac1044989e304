"""`tests/chaos/run`: work, faults, and the comparison of what was told with what happened."""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.runner.faults import PACES
from tests.chaos.runner.ground import ObserverFailed, make_ground
from tests.chaos.runner.node import NeverReady
from tests.chaos.runner.run import Outcome, Plan, run_chaos
from tests.support.eventually import NeverHappened
from tests.support.nats_server import NatsServerFailed
from tests.support.requirements import missing

FAILED = 2
NEEDED = ("root", "conmon", "crun", "runc", "busybox-static", "nats-server")


def main() -> int:
    """0: nothing lost, doubled, invented. 1: something. 2: the run itself was not possible."""
    options = _options()
    if reasons := [reason for name in NEEDED if (reason := missing(name))]:
        print(f"chaos: {'; '.join(reasons)}", file=sys.stderr)
        return FAILED
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    print(
        f"chaos: seed {seed}, {options.seconds:g} s, faults {options.faults}, "
        f"servers {options.servers}",
        file=sys.stderr,
    )
    # A run that is told to end (by timeout(1), too) takes all that it started along.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    plan = Plan(options.seconds, seed, PACES[options.faults], disk=options.disk)
    folder = Path(tempfile.mkdtemp(prefix="wharfside-chaos-"))
    try:
        with make_ground(folder, options.servers) as ground:
            outcome = run_chaos(ground, plan)
    except (ObserverFailed, NatsServerFailed, NeverHappened, NeverReady, OSError) as error:
        print(f"chaos: {error!r}; see {folder}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("chaos: ended before its time", file=sys.stderr)
        return FAILED
    return _reported(outcome, options.json, folder, keep=options.keep)


def _reported(outcome: Outcome, file: Path | None, folder: Path, *, keep: bool) -> int:
    verdict = outcome.verdict
    if not verdict.good:
        print(outcome.stories(), file=sys.stderr)
    print(verdict.table())
    if file is not None:
        file.write_text(json.dumps(verdict.to_json(), indent=2) + "\n")
    if verdict.good and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"chaos: logs and the observer's notes are in {folder}", file=sys.stderr)
    return 0 if verdict.good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/chaos/run",
        description="Real parts die at random while work goes on; then what was told is compared "
        "with what the kernel saw.",
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="of work and faults (40)")
    parser.add_argument("--seed", type=int, help="of all choices; random where left out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts there")
    parser.add_argument("--faults", choices=PACES, default="heavy", help="how often (heavy)")
    parser.add_argument(
        "--servers", type=int, choices=(1, 3, 5), default=1, help="a cluster of so many (1)"
    )
    parser.add_argument("--disk", action="store_true", help="the agent's disk runs full, too")
    parser.add_argument("--keep", action="store_true", help="keep the run's folder")
    return parser.parse_args()
