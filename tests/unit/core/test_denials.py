"""A flood of denials: few records, none of them buried, ever longer parts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from wharfside_agent.core.denials import FLOOD, LONGEST_NS, MOST, SHORTEST_NS, Denials
from wharfside_protocol.event_facts import AuditRecord


def denied(actor: str, *, rule: str = "trust.keys", op: str = "run", id_: str = "a") -> AuditRecord:
    return AuditRecord(
        at="now", op=op, outcome="denied", actor=actor, container="web", command=id_, rule=rule
    )


def test_those_of_one_actor_by_one_rule_are_one_with_the_first_of_them() -> None:
    denials = Denials()
    assert denials.add(denied("eve", id_="1"))
    assert not denials.add(denied("eve", id_="2", op="stop"))
    assert denials.add(denied("eve", rule="trust.require"))
    assert denials.add(denied("mallory"))
    taken = denials.take(0)
    assert [(each.actor, each.rule, each.count) for each in taken] == [
        ("eve", "trust.keys", 2),
        ("eve", "trust.require", 1),
        ("mallory", "trust.keys", 1),
    ]
    assert (taken[0].command, taken[0].op) == ("1", "run")
    assert denials.take(0) == []


def test_too_many_actors_share_one_record_and_bury_nobody() -> None:
    denials = Denials()
    news = [denials.add(denied(f"bot-{number}")) for number in range(MOST + 50)]
    assert sum(news) == MOST + 1
    denials.add(denied("bot-0"))
    *named, others = denials.take(0)
    assert [each.actor for each in named] == [f"bot-{number}" for number in range(MOST)]
    assert named[0].count == 2
    assert (others.actor, others.command, others.container, others.count) == (None, None, None, 50)


def test_free_names_take_no_place_from_those_that_are_proven() -> None:
    denials = Denials()
    for number in range(MOST + 50):
        denials.add(denied(f"bot-{number}"))
    inside = replace(denied("mallory", rule="policy.ops"), proven=True, key="U" * 56)
    assert denials.add(inside)
    denials.add(denied("bot-of-the-last-moment"))
    *_, others, told = denials.take(0)
    assert told == inside
    assert (others.actor, others.proven, others.count) == (None, False, 51)


@pytest.mark.parametrize("size", [1, FLOOD - 1])
def test_what_is_no_flood_is_told_each_second(size: int) -> None:
    denials, now = Denials(), 0
    for _ in range(5):
        assert not denials.due(now)
        for _ in range(size):
            denials.add(denied("eve"))
        assert denials.due(now)
        denials.take(now)
        now += SHORTEST_NS


def test_a_flood_is_told_in_ever_larger_parts_until_it_ends() -> None:
    denials, now, parts = Denials(), 0, []
    for _ in range(9):
        for _ in range(FLOOD):
            denials.add(denied("eve"))
        denials.take(now)
        began = now
        denials.add(denied("eve"))
        while not denials.due(now):
            now += SHORTEST_NS
        parts.append(now - began)
    assert parts[:3] == [2 * SHORTEST_NS, 4 * SHORTEST_NS, 8 * SHORTEST_NS]
    assert parts[-1] == LONGEST_NS
    denials.take(now)
    assert not denials.due(now)
    denials.add(denied("eve"))
    assert denials.due(now + SHORTEST_NS)
