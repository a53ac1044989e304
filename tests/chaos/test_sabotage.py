"""The chaos run notices an agent that is broken: six ways, and what each must be counted as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tests.chaos.runner.faults import PACES, Pace
from tests.chaos.runner.ground import Ground, make_ground
from tests.chaos.runner.kinds import KINDS
from tests.chaos.runner.run import Plan, run_chaos
from tests.chaos.runner.verdict import Verdict
from tests.chaos.sabotage.acts import ACTS
from tests.support.requirements import need

from wharfside_agent.core.journal import Step

NEEDED = ("root", "conmon", "crun", "runc", "busybox-static", "nats-server")
SECONDS = 3.0
CALM = PACES["none"]
DIES_IN_A_START = Pace((0.2, 0.5), None, None, agent_kinds={"agent-kill-at-step": 1})
BLINDED = Pace((0.5, 0.8), None, None, agent_kinds={"agent-and-monitor-kill": 1})


@dataclass(frozen=True)
class Case:
    """`expected`: one of these counts must be above 0, and was 0 of the whole agent."""

    act: str
    expected: str
    pace: Pace = CALM
    kinds: frozenset[str] = frozenset({"short", "stopped", "execs", "oom"})
    steps: tuple[Step, ...] = field(default=tuple(Step))


CASES = (
    Case("drop-the-outbox", "lost"),
    Case(
        "skip-the-journal",
        "lost",
        DIES_IN_A_START,
        frozenset({"forced", "execs"}),
        (Step.START_DONE, Step.EXEC_DONE),
    ),
    Case("publish-twice", "doubled"),
    Case("invent-zero", "invented", BLINDED, frozenset({"stays"})),
    Case("swap-two", "out_of_order"),
    Case("leave-a-process", "left_behind"),
)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    for name in NEEDED:
        need(name)
    with make_ground(tmp_path_factory.mktemp("chaos")) as ground:
        yield ground


def test_every_act_is_here() -> None:
    assert {case.act for case in CASES} == set(ACTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.act)
def test_an_agent_that_is_broken_is_seen(ground: Ground, case: Case) -> None:
    """Within six short runs: on a busy machine one alone may hurt nothing that shows."""
    verdicts = []
    for seed in range(1, 7):
        verdicts.append(_verdict(ground, case, seed))
        if verdicts[-1].count(case.expected):
            return
    pytest.fail("\n".join(verdict.table() for verdict in verdicts))


def _verdict(ground: Ground, case: Case, seed: int) -> Verdict:
    plan = Plan(
        SECONDS,
        seed,
        pace=case.pace,
        node=f"{case.act}-{seed}",
        kinds=tuple(kind for kind in KINDS if kind.name in case.kinds),
        steps=case.steps,
        module=("tests.chaos.sabotage", case.act),
    )
    return run_chaos(ground, plan).verdict
