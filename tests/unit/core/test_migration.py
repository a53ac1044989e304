"""A migration's two tables, tried in every order: words lost, late and repeated, every death.

The bus is a set of all that was ever said: each word may be heard any number of times, in any
order, or never. Whatever can be reached so is looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from wharfside_agent.core.migration import (
    A_LIVES,
    B_LIVES,
    ON_ENTERING,
    SOURCE,
    TARGET,
    Effect,
    Heard,
    Source,
    Target,
    source_step,
    target_step,
)

Word = tuple[str, int]
"""A word, and the token (a life of B) that it carries; 0 for none."""

TO_B = {
    "offer": Heard.OFFER,
    "go": Heard.GO,
    "give up": Heard.GIVE_UP,
    "settle": Heard.SETTLE,
    "revoke": Heard.REVOKE,
}
TO_A = {"carried": Heard.CARRIED, "restored": Heard.B_RESTORED, "failed": Heard.B_FAILED}

SAYS = {
    Effect.CARRY: "offer",
    Effect.SAY_GIVE_UP: "give up",
    Effect.SAY_SETTLE: "settle",
    Effect.SAY_REVOKE: "revoke",
    Effect.SAY_RESTORED: "restored",
    Effect.SAY_FAILED: "failed",
}

LIVES = 3
"""Of B: the first, and two after a death."""


@dataclass(frozen=True)
class World:
    """`a_runs`, `b_runs`: a process of the container may be alive there.

    `token`: what A knows of B's; `dead`: B's machine is off; `aborted`: an operator said so.
    """

    a: Source = Source.DUMPING
    b: Target = Target.EXPECTING
    a_runs: bool = True
    b_runs: bool = False
    token: int = 0
    life: int = 1
    dead: bool = False
    aborted: bool = False
    stranded: bool = False
    said: frozenset[Word] = frozenset()

    def say(self, *words: Word) -> World:
        return replace(self, said=self.said | set(words))

    def effects_of_a(self, effects: tuple[Effect, ...]) -> World:
        world = self
        for effect in effects:
            if effect is Effect.SAY_GO:
                world = world.say(("go", world.token))
            elif effect is Effect.REVIVE:
                world = replace(world, a_runs=True)
            elif effect in SAYS:
                world = world.say((SAYS[effect], 0))
        return world

    def effects_of_b(self, effects: tuple[Effect, ...]) -> World:
        world = self
        for effect in effects:
            if effect is Effect.RESTORE:
                world = replace(world, b_runs=True)
            elif effect in SAYS:
                world = world.say((SAYS[effect], 0))
        return world

    def at_a(self, heard: Heard) -> World:
        state, effects = source_step(self.a, heard)
        over = heard in (Heard.DUMPED, Heard.NOT_REVIVED)
        world = replace(self, a=state, a_runs=self.a_runs and not (over and state is not self.a))
        return world.effects_of_a(effects)

    def at_b(self, heard: Heard) -> World:
        state, effects = target_step(self.b, heard)
        ends = state is Target.FAILED and self.b is not Target.FAILED
        world = replace(self, b=state, b_runs=self.b_runs and not ends)
        return world.effects_of_b(effects)


def a_hears(world: World) -> Iterator[tuple[str, World]]:
    for word, token in world.said:
        if word not in TO_A:
            continue
        if word == "carried":
            heard = replace(world, token=max(token, world.token))
            yield (
                f"A hears carried {token}",
                heard.at_a(Heard.CARRIED).effects_of_a(
                    (Effect.SAY_GO,) if heard.a is Source.ASKED else ()
                ),
            )
        else:
            yield f"A hears {word}", world.at_a(TO_A[word])


def b_hears(world: World) -> Iterator[tuple[str, World]]:
    if world.dead:
        return
    for word, token in world.said:
        if word not in TO_B:
            continue
        if world.b is Target.EXPECTING and (
            word == "offer" or (word == "go" and token != world.life)
        ):
            if ("offer", 0) in world.said:
                yield f"B hears {word} {token}", world.say(("carried", world.life))
        else:
            yield f"B hears {word} {token}", world.at_b(TO_B[word])


def a_finds(world: World) -> Iterator[tuple[str, World]]:
    findings = {
        Source.DUMPING: (Heard.DUMPED, Heard.NOT_DUMPED),
        Source.CARRYING: (Heard.CANCEL,),
        Source.ASKED: (Heard.CANCEL,),
        Source.LEAVING: (Heard.DELETED,),
        Source.REVIVING: (Heard.REVIVED, Heard.NOT_REVIVED),
    }
    for heard in findings.get(world.a, ()):
        found = world.at_a(heard)
        yield f"A: {heard}", replace(found, stranded=found.stranded or heard is Heard.NOT_REVIVED)
    # A dies and goes on: in its state, with that state's effects once more
    yield "A dies", world.effects_of_a(ON_ENTERING[world.a])


def b_finds(world: World) -> Iterator[tuple[str, World]]:
    if world.dead:
        return
    findings = {
        Target.EXPECTING: (Heard.EXPIRED, Heard.BROKEN),
        Target.RESTORING: (Heard.STARTED, Heard.NOT_STARTED),
        Target.REVOKING: (Heard.ENDED,),
    }
    for heard in findings.get(world.b, ()):
        # after a boot nothing is found to have been started
        if heard is not Heard.STARTED or world.b_runs:
            yield f"B: {heard}", world.at_b(heard)
    if world.life < LIVES:
        again = replace(world, life=world.life + 1)
        effects = tuple(e for e in ON_ENTERING[world.b] if e is not Effect.RESTORE)
        yield "B dies", again.effects_of_b(effects)


def operator(world: World) -> Iterator[tuple[str, World]]:
    """B's machine goes, with all that ran there; it may come back, also after the abort."""
    if not world.dead and world.life < LIVES:
        yield "B's machine dies", replace(world, dead=True, b_runs=False)
    if world.dead:
        back = replace(world, dead=False, life=world.life + 1)
        effects = tuple(e for e in ON_ENTERING[world.b] if e is not Effect.RESTORE)
        yield "B's machine is back", back.effects_of_b(effects)
        yield "B is dead, they say", replace(world.at_a(Heard.B_IS_DEAD), aborted=True)


def following(world: World) -> Iterator[tuple[str, World]]:
    for source in (a_hears, b_hears, a_finds, b_finds, operator):
        yield from source(world)


@cache
def reachable() -> dict[World, tuple[World, str] | None]:
    """Every world, and how it came about."""
    first = World()
    seen: dict[World, tuple[World, str] | None] = {first: None}
    waiting = deque([first])
    while waiting:
        world = waiting.popleft()
        for how, after in following(world):
            if after not in seen:
                seen[after] = (world, how)
                waiting.append(after)
    return seen


def story(world: World) -> str:
    """How it came to this, for whoever reads a failure."""
    lines, at = [], reachable()[world]
    while at is not None:
        before, how = at
        lines.append(how)
        at = reachable()[before]
    return f"{world}\n" + "\n".join(lines[::-1])


def test_there_is_something_to_look_at() -> None:
    worlds = reachable()
    assert {world.a for world in worlds} == set(Source)
    assert {world.b for world in worlds} == set(Target)
    assert len(worlds) > 1_000


def test_never_both() -> None:
    """Also where an operator rightly said that B is dead, and B came back."""
    for world in reachable():
        assert not (world.a_runs and world.b_runs), story(world)


def test_a_side_runs_only_where_its_table_says_so() -> None:
    for world in reachable():
        assert world.a_runs <= (world.a in A_LIVES), story(world)
        assert world.b_runs <= (world.b in B_LIVES), story(world)


def test_a_goes_only_where_b_is_proven() -> None:
    for world in reachable():
        if world.a in (Source.LEAVING, Source.GONE):
            assert world.b in (Target.RESTORED, Target.KEPT), story(world)


def test_a_comes_back_only_where_b_is_not_or_is_said_to_be_dead() -> None:
    for world in reachable():
        if world.a in (Source.REVIVING, Source.BACK) and not world.aborted:
            assert world.b in (Target.EXPECTING, Target.FAILED, Target.SETTLED), story(world)
            assert ("go", world.life) not in world.said or world.b is not Target.EXPECTING, story(
                world
            )


def test_a_proven_failure_brings_a_back() -> None:
    """Whatever happened before: once B has said so, A's word to its container is REVIVE."""
    for world in reachable():
        if ("failed", 0) in world.said and world.a in (Source.CARRYING, Source.ASKED):
            after = world.at_a(Heard.B_FAILED)
            assert after.a is Source.REVIVING and after.a_runs, story(world)


def fair(world: World) -> World:
    """Nobody dies any more, every word comes through, nothing fails by itself."""
    for _ in range(50):
        good = [
            after
            for how, after in following(world)
            if after != world
            and how.startswith(("A hears", "B hears", "A: ", "B: ", "B's machine is back"))
            and not how.endswith((Heard.CANCEL, Heard.NOT_REVIVED, Heard.EXPIRED, Heard.BROKEN))
            and not how.endswith(Heard.NOT_DUMPED)
        ]
        # a restore that the machine's death has cut off is found not started
        started = [each for each in good if each.b is not Target.FAILED or world.b_runs is False]
        moved = [each for each in started if (each.a, each.b) != (world.a, world.b)]
        if not (moved or started):
            restarted = world.effects_of_a(ON_ENTERING[world.a])
            if not world.dead:
                restarted = restarted.effects_of_b(
                    tuple(e for e in ON_ENTERING[world.b] if e is not Effect.RESTORE)
                )
            if restarted == world:
                return world
            world = restarted
            continue
        world = (moved or started)[0]
    return world


def test_it_always_comes_to_an_end() -> None:
    """From everywhere: A over, B over or never told, and one of both has it."""
    for world in reachable():
        end = fair(world)
        where = f"{end}\nfrom {story(world)}"
        assert end.a in (Source.GONE, Source.STAYED, Source.BACK, Source.STRANDED), where
        assert end.b in (Target.KEPT, Target.SETTLED, Target.FAILED), where
        has = (end.a in A_LIVES) + (end.b is Target.KEPT)
        assert has == 1 or end.stranded, where


@pytest.mark.parametrize("state", Source)
def test_an_old_word_changes_nothing_at_a(state: Source) -> None:
    for heard in Heard:
        if (state, heard) not in SOURCE:
            assert source_step(state, heard) == (state, ())


@pytest.mark.parametrize("state", Target)
def test_an_old_word_changes_nothing_at_b(state: Target) -> None:
    for heard in Heard:
        if (state, heard) not in TARGET:
            assert target_step(state, heard) == (state, ())


def broken_by(table: object, key: object, row: object) -> bool:
    """Whether the search finds a world in which both run, with one row changed."""
    patched = pytest.MonkeyPatch()
    with patched.context() as patch:
        module = "wharfside_agent.core.migration"
        patch.setattr(f"{module}.{table}", {**globals()[str(table)], key: row})
        reachable.cache_clear()
        both = any(world.a_runs and world.b_runs for world in reachable())
    reachable.cache_clear()
    return both


def test_the_search_sees_a_wrong_table() -> None:
    from wharfside_agent.core.migration import Row

    assert broken_by("SOURCE", (Source.ASKED, Heard.CANCEL), Row(Source.REVIVING))
    assert broken_by("TARGET", (Target.FAILED, Heard.GO), Row(Target.RESTORING))
    assert broken_by("TARGET", (Target.RESTORING, Heard.GIVE_UP), Row(Target.REVOKING)) is False
