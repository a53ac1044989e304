"""Which images `prune` takes."""

from __future__ import annotations

from wharfside_agent.core.image_choice import Kept, prunable


def kept(owner: str, name: str, second: int) -> Kept:
    return Kept(owner, name, f"2026-01-31T09:00:{second:02}.000000000Z", 1)


ALL = [kept("A", "a1", 1), kept("A", "a2", 2), kept("A", "a3", 3), kept("B", "b1", 4)]


def names(chosen: list[Kept]) -> list[str]:
    return [each.name for each in chosen]


def test_all_oldest_first() -> None:
    assert names(prunable(ALL[::-1])) == ["a1", "a2", "a3", "b1"]


def test_the_newest_of_each_incarnation_stay() -> None:
    assert names(prunable(ALL, keep_last=1)) == ["a1", "a2"]


def test_before_a_moment() -> None:
    assert names(prunable(ALL, before="2026-01-31T09:00:03.000000000Z")) == ["a1", "a2"]


def test_what_is_in_use_stays() -> None:
    assert names(prunable(ALL, pinned=frozenset({("A", "a1")}))) == ["a2", "a3", "b1"]
