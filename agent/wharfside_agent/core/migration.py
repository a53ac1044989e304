"""A container moves from node A to node B: what each side does upon what it hears, as two tables.

Everything is decided here. A message may be lost, late, or come again; either agent may die at
any moment and goes on in the state that it has written down, with that state's effects once
more. The rules that hold it together (tests/unit/core/test_migration.py tries every order):

- B starts nothing before GO has come, and A sends GO at most while it is in `ASKED`.
- A in `ASKED` starts nothing before B has said that it failed, or an operator that B is dead.
- What B has said once it says for ever: FAILED is written down before it is said.
- B takes a GO only with the token that it gave out on its present connection: one that waited in
  the stream while B was away is asked about anew, since an operator may have decided meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Source(StrEnum):
    """Where A is. Its container lives in `DUMPING`, `STAYED`, `REVIVING` and `BACK` alone."""

    DUMPING = "dumping"
    CARRYING = "carrying"
    ASKED = "asked"
    LEAVING = "leaving"
    REVIVING = "reviving"
    GONE = "gone"
    STAYED = "stayed"
    BACK = "back"
    STRANDED = "stranded"


class Target(StrEnum):
    """Where B is. Its container lives in `RESTORING`, `RESTORED`, `REVOKING` and `KEPT` alone."""

    EXPECTING = "expecting"
    RESTORING = "restoring"
    RESTORED = "restored"
    KEPT = "kept"
    REVOKING = "revoking"
    FAILED = "failed"
    SETTLED = "settled"


class Heard(StrEnum):
    """What happens to a side: words of the other one, and its own findings."""

    DUMPED = "the final dump is whole, and the container over"
    NOT_DUMPED = "the dump failed, and the container goes on"
    CARRIED = "all of the image is with B, and was checked there"
    CANCEL = "asked to give up"
    B_IS_DEAD = "an operator says that B is dead"
    DELETED = "what was left here is removed"
    REVIVED = "restored in place"
    NOT_REVIVED = "the restore in place failed"
    B_RESTORED = "B: it runs here"
    B_FAILED = "B: it does not and will not run here"

    OFFER = "A: here is the image"
    GO = "A: start it"
    GIVE_UP = "A: do not start it"
    SETTLE = "A: I know how it ended"
    REVOKE = "A: it runs here again, end yours"
    EXPIRED = "nothing came for too long"
    BROKEN = "what came is no image, or cannot be restored here"
    STARTED = "it was restored"
    NOT_STARTED = "the restore failed, and nothing of it is left"
    ENDED = "the revoked one is removed"


class Effect(StrEnum):
    """What a side does on entering a state, or upon a word that changes none. Each may be
    repeated at any time, as after a death."""

    DUMP = "dump"
    CARRY = "carry the image"
    SAY_GO = "say GO until B answers"
    DELETE = "delete the container"
    REVIVE = "restore the container in place"
    SAY_GIVE_UP = "say GIVE_UP"
    SAY_SETTLE = "say SETTLE"
    SAY_REVOKE = "say REVOKE"

    RESTORE = "restore the container"
    SAY_RESTORED = "say RESTORED until A settles"
    SAY_FAILED = "say FAILED"
    DROP_IMAGE = "forget the image"
    END = "kill and delete the container"


S, T, H, E = Source, Target, Heard, Effect


@dataclass(frozen=True, slots=True)
class Row:
    """`next` None: the state stays, and `also` is all that is done."""

    next: Source | Target | None
    also: tuple[Effect, ...] = ()


ON_ENTERING: Mapping[Source | Target, tuple[Effect, ...]] = MappingProxyType(
    {
        S.DUMPING: (E.DUMP,),
        S.CARRYING: (E.CARRY,),
        S.ASKED: (E.SAY_GO,),
        S.LEAVING: (E.DELETE,),
        S.REVIVING: (E.REVIVE, E.SAY_GIVE_UP),
        S.GONE: (E.SAY_SETTLE,),
        S.STAYED: (E.SAY_GIVE_UP,),
        S.BACK: (E.SAY_GIVE_UP,),
        S.STRANDED: (E.SAY_GIVE_UP,),
        T.EXPECTING: (),
        T.RESTORING: (E.RESTORE,),
        T.RESTORED: (E.DROP_IMAGE, E.SAY_RESTORED),
        T.REVOKING: (E.END,),
        T.KEPT: (E.DROP_IMAGE,),
        T.FAILED: (E.DROP_IMAGE, E.SAY_FAILED),
        T.SETTLED: (E.DROP_IMAGE,),
    }
)
"""Done again when a life of the agent begins in the state."""

SOURCE: Mapping[tuple[Source, Heard], Row] = MappingProxyType(
    {
        (S.DUMPING, H.DUMPED): Row(S.CARRYING),
        (S.DUMPING, H.NOT_DUMPED): Row(S.STAYED),
        (S.CARRYING, H.CARRIED): Row(S.ASKED),
        (S.CARRYING, H.CANCEL): Row(S.REVIVING),
        (S.CARRYING, H.B_FAILED): Row(S.REVIVING),
        # GO was never said, as far as this store knows; a power cut may have taken that.
        (S.CARRYING, H.B_RESTORED): Row(S.LEAVING),
        (S.ASKED, H.CANCEL): Row(None, (E.SAY_GIVE_UP,)),
        (S.ASKED, H.B_IS_DEAD): Row(S.REVIVING),
        (S.ASKED, H.B_FAILED): Row(S.REVIVING),
        (S.ASKED, H.B_RESTORED): Row(S.LEAVING),
        (S.LEAVING, H.DELETED): Row(S.GONE),
        (S.GONE, H.B_RESTORED): Row(None, (E.SAY_SETTLE,)),
        (S.REVIVING, H.REVIVED): Row(S.BACK),
        (S.REVIVING, H.NOT_REVIVED): Row(S.STRANDED),
        **{
            (state, H.B_FAILED): Row(None, (E.SAY_SETTLE,))
            for state in (S.STAYED, S.BACK, S.STRANDED)
        },
        # The operator was wrong, or B came back: what runs here is the truth since.
        (S.BACK, H.B_RESTORED): Row(None, (E.SAY_REVOKE,)),
        (S.STRANDED, H.B_RESTORED): Row(S.LEAVING),
        (S.STRANDED, H.REVIVED): Row(S.BACK),
    }
)
"""A pair that has no row changes nothing: an old word, or one that says what is known."""

TARGET: Mapping[tuple[Target, Heard], Row] = MappingProxyType(
    {
        (T.EXPECTING, H.GO): Row(T.RESTORING),
        (T.EXPECTING, H.GIVE_UP): Row(T.FAILED),
        (T.EXPECTING, H.REVOKE): Row(T.FAILED),
        (T.EXPECTING, H.EXPIRED): Row(T.FAILED),
        (T.EXPECTING, H.BROKEN): Row(T.FAILED),
        (T.RESTORING, H.STARTED): Row(T.RESTORED),
        (T.RESTORING, H.NOT_STARTED): Row(T.FAILED),
        (T.RESTORING, H.REVOKE): Row(T.REVOKING),
        (T.RESTORED, H.REVOKE): Row(T.REVOKING),
        (T.RESTORED, H.OFFER): Row(None, (E.SAY_RESTORED,)),
        (T.RESTORED, H.GO): Row(None, (E.SAY_RESTORED,)),
        (T.RESTORED, H.GIVE_UP): Row(None, (E.SAY_RESTORED,)),
        (T.RESTORED, H.SETTLE): Row(T.KEPT),
        (T.REVOKING, H.ENDED): Row(T.FAILED),
        **{
            (T.FAILED, heard): Row(None, (E.SAY_FAILED,))
            for heard in (H.OFFER, H.GO, H.GIVE_UP, H.REVOKE)
        },
        (T.FAILED, H.SETTLE): Row(T.SETTLED),
    }
)

UNKNOWN = Target.FAILED
"""What B writes down and says of a migration that it has never heard of: it will not start it."""

OVER = frozenset({S.GONE, S.STAYED, S.BACK, S.STRANDED, T.KEPT, T.FAILED, T.SETTLED})
"""Nothing is under way any more; a record is kept for what may still be heard."""

WITH_FSYNC = frozenset({S.ASKED, S.LEAVING, S.REVIVING, T.RESTORING, T.FAILED})
"""On the disk before its effects: a power cut that took these could let both run."""

A_LIVES = frozenset({S.DUMPING, S.STAYED, S.REVIVING, S.BACK})
B_LIVES = frozenset({T.RESTORING, T.RESTORED, T.REVOKING, T.KEPT})


def source_step(state: Source, heard: Heard) -> tuple[Source, tuple[Effect, ...]]:
    """A's next state, and what it does."""
    row = SOURCE.get((state, heard), Row(None))
    if row.next is None:
        return state, row.also
    assert isinstance(row.next, Source)
    return row.next, (*row.also, *ON_ENTERING[row.next])


def target_step(state: Target, heard: Heard) -> tuple[Target, tuple[Effect, ...]]:
    """B's next state, and what it does."""
    row = TARGET.get((state, heard), Row(None))
    if row.next is None:
        return state, row.also
    assert isinstance(row.next, Target)
    return row.next, (*row.also, *ON_ENTERING[row.next])
