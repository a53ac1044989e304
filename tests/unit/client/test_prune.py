"""Which checkpoints `checkpoint prune` takes."""

from __future__ import annotations

from collections.abc import Sequence

from wharfside_client.cli.checkpointprune import prunable
from wharfside_protocol.checkpoints import CheckpointView
from wharfside_protocol.times import from_timestamp

A, B = "01JDZZZZZZZZZZZZZZZZZZZZZA", "01JDZZZZZZZZZZZZZZZZZZZZZB"


def at(second: int) -> str:
    return f"2026-01-31T09:00:{second:02}.000000000Z"


def taken(owner: str, name: str, second: int) -> CheckpointView:
    return CheckpointView(checkpoint=name, incarnation=owner, timestamp=at(second))


BROKEN = CheckpointView(checkpoint="cut", incarnation=A, broken="a file is missing")
FOREIGN = CheckpointView(checkpoint="old", incarnation=A, broken="format 1", other_format=1)
ALL = [taken(A, "a1", 1), taken(A, "a2", 2), taken(A, "a3", 3), taken(B, "b1", 4)]


def names(chosen: Sequence[CheckpointView]) -> list[str]:
    return [each.checkpoint for each in chosen]


def test_all_oldest_first() -> None:
    assert names(prunable(ALL, 0, None)) == ["a1", "a2", "a3", "b1"]


def test_the_newest_of_each_incarnation_stay() -> None:
    assert names(prunable(ALL, 1, None)) == ["a1", "a2"]


def test_before_a_moment() -> None:
    assert names(prunable(ALL, 0, from_timestamp(at(2)))) == ["a1", "a2"]


def test_what_is_broken_goes_and_keeps_nothing_else_from_staying() -> None:
    found = [BROKEN, *ALL]
    assert names(prunable(found, 3, from_timestamp(at(0)))) == ["cut"]
    assert names(prunable(found, 2, None)) == ["cut", "a1"]


def test_what_another_version_wrote_is_left_alone_and_counts_as_none_that_is_kept() -> None:
    found = [FOREIGN, BROKEN, *ALL]
    assert names(prunable(found, 0, None)) == ["cut", "a1", "a2", "a3", "b1"]
    assert names(prunable(found, 2, None)) == ["cut", "a1"]
