"""The relist's comparison: facts in, findings out, and what it takes to believe one."""

from __future__ import annotations

from typing import Any

import pytest

from wharfside_agent.core.relist import (
    FINDINGS,
    Doubts,
    Finding,
    Kind,
    Known,
    Survey,
    Watched,
    compare,
    incarnation_of,
)
from wharfside_protocol.states import ContainerState as S

INCARNATION = "01JD0000000000000000000000"
LOWER = INCARNATION.lower()
ID = f"{LOWER}-2"
STRANGER = "01jd000000000000000000000z"


def known(state: S = S.RUNNING, **others: Any) -> Known:
    fields: dict[str, Any] = {
        "settled": True,
        "processes": (Watched("init", 10, 100), Watched("job", 11, 110)),
        "names": frozenset({"init", "job"}),
    }
    return Known(name="web", incarnation=INCARNATION, run=2, state=state, **(fields | others))


def survey(**others: Any) -> Survey:
    """All is as the store says: a running container with one exec."""
    fields: dict[str, Any] = {
        "thawed": frozenset({LOWER}),
        "runtimes": frozenset({ID}),
        "monitors": frozenset({(ID, "init"), (ID, "job")}),
        "traces": {LOWER: [f"run folder {ID}"]},
    }
    return Survey(**(fields | others))


FOUND = [
    (known(), survey(over={(10, 100)}), {(Kind.EXIT_UNSEEN, "init")}),
    (known(), survey(over={(11, 110)}), {(Kind.EXIT_UNSEEN, "job")}),
    (known(), survey(frozen={LOWER}, thawed=frozenset()), {(Kind.PAUSE_UNTOLD, "init")}),
    (known(S.PAUSED), survey(), {(Kind.RESUME_UNTOLD, "init")}),
    (known(), survey(runtimes=frozenset()), {(Kind.RUNTIME_FORGOT, "init")}),
    (
        known(),
        survey(monitors={(ID, "init"), (ID, "stray")}),
        {(Kind.EXEC_UNKNOWN, "stray")},
    ),
    (known(), survey(traces={STRANGER: ["layer"]}), {(Kind.ORPHAN_DEAD, "init")}),
    (
        known(),
        survey(traces={STRANGER: ["cgroup"]}, alive={STRANGER}),
        {(Kind.ORPHAN_ALIVE, "init")},
    ),
    (
        known(),
        survey(traces={STRANGER: ["run folder"]}, monitors={(f"{STRANGER}-1", "init")}),
        {(Kind.ORPHAN_ALIVE, "init")},
    ),
]


@pytest.mark.parametrize(("one", "seen", "wanted"), FOUND)
def test_what_differs_is_found(one: Known, seen: Survey, wanted: set[tuple[Kind, str]]) -> None:
    assert {(found.kind, found.process) for found in compare([one], seen)} == wanted


def test_every_kind_is_found_above_and_has_its_row() -> None:
    assert {kind for _, _, wanted in FOUND for kind, _ in wanted} == set(Kind) == set(FINDINGS)


FINE = [
    (known(), survey()),
    (known(S.PAUSED), survey(frozen={LOWER}, thawed=frozenset())),
    (known(), survey(thawed=frozenset())),  # nobody can tell
    (known(S.PAUSED), survey(thawed=frozenset())),
    (known(S.STOPPED, processes=()), survey(runtimes=frozenset(), monitors=frozenset())),
    (known(settled=False), survey(over={(10, 100)}, frozen={LOWER}, runtimes=frozenset())),
    (known(S.CREATING, settled=False, processes=()), survey(runtimes=frozenset())),
    # another process with the pid of one that has not ended
    (known(), survey(over={(10, 999)})),
    (
        known(processes=(Watched("init", 10, 100, in_hand=True),), names=frozenset({"init"})),
        survey(over={(10, 100)}, monitors=frozenset()),
    ),
]


@pytest.mark.parametrize(("one", "seen"), FINE)
def test_what_is_well_or_under_way_is_not(one: Known, seen: Survey) -> None:
    assert compare([one], seen) == []


def test_one_look_is_never_believed() -> None:
    doubts, finding = Doubts(0.0), Finding(Kind.PAUSE_UNTOLD, INCARNATION, "web", 1)
    assert doubts.believed([finding], 10.0) == []
    assert doubts.believed([finding], 10.1) == [finding]


def test_it_must_stand_as_long_as_patience_asks_without_a_break() -> None:
    doubts, finding = Doubts(5.0), Finding(Kind.PAUSE_UNTOLD, INCARNATION, "web", 1)
    assert doubts.believed([finding], 0.0) == []
    assert doubts.believed([finding], 4.9) == []
    assert doubts.believed([], 5.0) == []
    assert doubts.believed([finding], 6.0) == []
    assert doubts.believed([finding], 10.9) == []
    assert doubts.believed([finding], 11.0) == [finding]


@pytest.mark.parametrize("name", ["", "x", LOWER, f"{LOWER}-0", f"{LOWER}-x", f"../{LOWER}-1"])
def test_only_our_own_names_are_ours(name: str) -> None:
    assert incarnation_of(name) is None
    assert incarnation_of(ID) == LOWER
