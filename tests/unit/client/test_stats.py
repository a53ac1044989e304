"""What `stats` makes of two samples of all that run."""

from __future__ import annotations

from tests.unit.client.test_folding import ONE, TWO
from tests.unit.client.test_top import usage

from wharfside_client.cli.stats import Used, compared
from wharfside_protocol.node_commands import ContainerUsage, UsageValue


def used(name: str, at_s: float, cpu_s: float, life: str = ONE, run: int = 1) -> ContainerUsage:
    return ContainerUsage(
        container=name, incarnation=life, run=run, revision=1, usage=usage(at_s, cpu_s)
    )


def value(*containers: ContainerUsage) -> UsageValue:
    return UsageValue(node=usage(1), containers=list(containers))


def percents(found: list[Used]) -> list[tuple[str, float | None]]:
    return [(f"{each.node}/{each.told.container}", each.cpu_percent) for each in found]


def test_cpu_is_what_each_life_has_had_between_the_two() -> None:
    first = {"n2": value(used("a", 5, 1)), "n1": value(used("a", 100, 1), used("b", 100, 2, TWO))}
    second = {
        "n2": value(used("a", 7, 4)),
        "n1": value(used("a", 102, 1.5), used("b", 102, 2, TWO)),
    }
    assert percents(compared(first, second)) == [("n1/a", 25.0), ("n1/b", 0.0), ("n2/a", 150.0)]


def test_another_run_or_life_is_not_compared_and_what_is_over_not_told() -> None:
    first = {"n1": value(used("gone", 1, 1), used("new", 1, 1), used("rerun", 1, 1))}
    second = {"n1": value(used("new", 2, 1, TWO), used("rerun", 2, 2, run=2))}
    assert percents(compared(first, second)) == [("n1/new", None), ("n1/rerun", None)]


def test_a_node_that_did_not_answer_again_is_left_out() -> None:
    assert compared({"n1": value(used("a", 1, 1))}, {}) == []
