"""One container's state out of events and projections that come doubled, late or not at all."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wharfside_client.changes import ContainerChange, ContainerChanged, ContainerGone
from wharfside_client.folding import (
    Entry,
    after,
    alike,
    believe,
    fold_event,
    fold_projection,
    needs_history,
    stamp,
)
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.states import ContainerState
from wharfside_protocol.times import from_timestamp, to_timestamp
from wharfside_protocol.views import ContainerProjection

TIME = "2026-01-31T09:00:00Z"
ONE, TWO = "0" * 25 + "1", "0" * 25 + "2"
EXIT = {
    "exit_code": 3,
    "reason": "self",
    "status_source": "wait",
    "status_known": True,
    "exited_at": TIME,
}
DATA = {"created": {"pid": 7}, "started": {"pid": 7}, "exited": EXIT}


def event(
    seq: int,
    type_: str,
    *,
    incarnation: str = ONE,
    run: int = 1,
    process: str | None = None,
    epoch: int = 1,
    revision: int | None = None,
) -> Event:
    return Event(
        event_id=f"{epoch}-{seq}",
        node="n1",
        node_id="id",
        boot_id="boot",
        epoch=epoch,
        seq=seq,
        prev_seq=seq - 1 or None,
        container="web",
        incarnation=incarnation,
        run=run,
        revision=revision or seq,
        process=process or ("init" if type_ == "exited" else None),
        type=EventType(type_),
        occurred_at=TIME,
        observed_at=TIME,
        data=DATA.get(type_, {}),
    )


LIFE = ("created", "started", "updated", "paused", "resumed", "stopping", "exited", "deleted")
TOLD = ["created", "running", "running", "paused", "running", "running", "stopped", "gone"]
TWO_LIVES = [
    *(event(seq, type_) for seq, type_ in enumerate(LIFE, start=1)),
    *(event(seq, type_, incarnation=TWO) for seq, type_ in enumerate(LIFE[:5], start=9)),
]


def views_of(events: list[Event]) -> list[ContainerProjection]:
    """What a node would put into its bucket after each event."""
    views: list[ContainerProjection] = []
    for each in events:
        view = after(views[-1] if views else None, each)
        assert view is not None
        views.append(view)
    return views


VIEWS = views_of(TWO_LIVES)


def words(changes: list[ContainerChange]) -> list[str]:
    return ["gone" if isinstance(each, ContainerGone) else str(each.new.state) for each in changes]


def folded(events: list[Event]) -> tuple[Entry, list[ContainerChange]]:
    entry, told = Entry(), list[ContainerChange]()
    for each in events:
        entry, changes = fold_event(entry, each, each.seq)
        told += changes
    return entry, told


def test_each_event_that_changes_the_state_is_told_with_its_sequence() -> None:
    entry, told = folded(TWO_LIVES[:8])
    assert words(told) == TOLD
    assert [each.seq for each in told] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert entry.present is None
    ended = told[6]
    assert isinstance(ended, ContainerChanged)
    assert ended.new.exit is not None
    assert (ended.new.exit.exit_code, ended.new.pid, ended.new.stopping) == (3, None, False)


def test_an_exec_changes_nothing_of_its_container() -> None:
    entry, _ = folded([event(1, "created"), event(2, "started")])
    for seq, type_ in ((3, "exec-started"), (4, "exited"), (5, "start-failed")):
        of_exec = event(seq, type_, process="job", revision=2)
        entry, told = fold_event(entry, of_exec, seq)
        assert (told, entry.stamp) == ([], (1, seq))


def test_what_is_told_again_or_late_changes_nothing() -> None:
    entry, _ = folded(TWO_LIVES[:7])
    for each in TWO_LIVES[:7]:
        assert fold_event(entry, each, 99) == (entry, [])
    for view in VIEWS[:6]:
        assert fold_projection(entry, view) == (entry, [])
    assert fold_projection(entry, VIEWS[6]) == (entry, [])


def test_a_deleted_one_is_not_raised_by_a_late_projection() -> None:
    entry, _ = folded(TWO_LIVES[:8])
    assert fold_projection(entry, VIEWS[6]) == (entry, [])
    assert believe(entry) == (entry, [])


def test_a_projection_waits_for_its_events_and_tells_nothing_of_its_own() -> None:
    entry, told = fold_projection(Entry(), VIEWS[4])
    assert (entry.present, told) == (None, [])
    for each in TWO_LIVES[:5]:
        entry, changes = fold_event(entry, each, each.seq)
        told += changes
    assert words(told) == TOLD[:5]
    assert all(each.event is not None for each in told)
    assert entry == Entry(VIEWS[4])


def test_a_projection_is_believed_when_its_events_do_not_come() -> None:
    entry, _ = folded(TWO_LIVES[:2])
    entry, _ = fold_projection(entry, VIEWS[6])
    entry, told = believe(entry)
    assert words(told) == ["stopped"]
    assert (told[0].seq, told[0].event) == (None, None)
    for each in TWO_LIVES[2:7]:
        assert fold_event(entry, each, each.seq) == (entry, [])


def test_at_the_same_stamp_the_projection_is_right() -> None:
    entry, _ = folded(TWO_LIVES[:2])
    right = msgspec.structs.replace(VIEWS[1], pid=8, at="2027-01-31T09:00:00Z")
    entry, told = fold_projection(entry, right)
    assert entry.present == right
    assert words(told) == ["running"]


def test_another_incarnation_ends_the_one_before() -> None:
    """moby#46212: a reused name never shows its predecessor's end as its own."""
    entry, _ = folded(TWO_LIVES[:7])
    entry, _ = fold_projection(entry, VIEWS[9])
    entry, told = believe(entry)
    assert words(told) == ["gone", "running"]
    assert entry.present is not None
    assert (entry.present.incarnation, entry.present.exit) == (TWO, None)


def test_a_name_taken_again_is_told_when_it_is_created() -> None:
    """The put after `deleted` may find its successor in the store, which no event has told."""
    entry, _ = folded(TWO_LIVES[:8])
    unborn = msgspec.structs.replace(
        VIEWS[7], incarnation=TWO, state=ContainerState.CREATING, revision=1
    )
    assert fold_projection(entry, unborn) == (entry, [])
    _, told = fold_event(entry, TWO_LIVES[8], 9)
    assert words(told) == ["created"]


def test_another_epoch_is_newer_whatever_its_numbers() -> None:
    entry, _ = folded(TWO_LIVES[:2])
    rebooted = event(1, "exited", epoch=2)
    entry, told = fold_event(entry, rebooted, 3)
    assert words(told) == ["stopped"]


def test_another_run_has_no_exit_yet() -> None:
    entry, _ = folded([event(1, "created"), event(2, "started"), event(3, "exited")])
    entry, _told = fold_event(entry, event(4, "started", run=2), 4)
    assert entry.present is not None
    assert (entry.present.run, entry.present.state, entry.present.exit) == (2, "running", None)


def test_a_restart_that_is_due_is_told_until_it_comes_or_is_given_up() -> None:
    again = msgspec.structs.replace(
        event(4, "restarting"), data={"delay_s": 0.25, "attempt": 1, "next_run": 2}
    )
    entry, _ = folded([event(1, "created"), event(2, "started"), event(3, "exited"), again])
    assert entry.present is not None
    due = to_timestamp(from_timestamp(TIME) + 250_000_000)
    assert (entry.present.restarts, entry.present.restart_at) == (1, due)
    given_up, _ = fold_event(entry, event(5, "not-restarting"), 5)
    assert given_up.present is not None
    assert (given_up.present.restarts, given_up.present.restart_at) == (1, None)
    started = event(5, "started", run=2)
    entry, _ = fold_event(entry, started, 5)
    assert entry.present is not None
    assert (entry.present.restarts, entry.present.restart_at) == (1, None)
    by_command = msgspec.structs.replace(event(6, "start-failed", run=3), cause="command-1")
    entry, _ = fold_event(entry, by_command, 6)
    assert entry.present is not None
    assert (entry.present.state, entry.present.started_at) == ("stopped", None)
    assert entry.present.restarts == 0


def test_what_cannot_be_told_without_the_beginning_is_not_guessed() -> None:
    unclear = event(3, "stopping")
    assert needs_history(Entry(), unclear)
    assert fold_event(Entry(), unclear, 3) == (Entry(), [])
    entry, _ = folded(TWO_LIVES[:2])
    assert not needs_history(entry, unclear)
    assert needs_history(entry, event(4, "stopping")), "there is a hole before it"
    assert needs_history(entry, event(3, "stopping", incarnation=TWO))
    assert not needs_history(entry, event(9, "deleted"))
    assert not needs_history(entry, event(1, "stopping"))


def test_facts_that_are_none_make_no_status_up() -> None:
    entry, _ = folded(TWO_LIVES[:2])
    broken = msgspec.structs.replace(event(3, "exited"), data={"exit_code": "many"})
    entry, _ = fold_event(entry, broken, 3)
    assert entry.present is not None
    assert (entry.present.state, entry.present.exit) == ("stopped", None)


steps = st.lists(
    st.tuples(st.sampled_from(("event", "projection", "believe")), st.integers(0, 12)), max_size=40
)


def step(entry: Entry, kind: str, number: int) -> tuple[Entry, list[ContainerChange]]:
    """One message as a watch takes it: where history is needed, it is read and believed."""
    if kind == "projection":
        return fold_projection(entry, VIEWS[number])
    if kind == "believe":
        return believe(entry)
    if needs_history(entry, TWO_LIVES[number]):
        entry, _ = fold_projection(entry, VIEWS[number])
        return believe(entry)
    return fold_event(entry, TWO_LIVES[number], number)


@given(steps)
def test_whatever_comes_in_whatever_order_state_never_goes_backwards(
    told: list[tuple[str, int]],
) -> None:
    entry = Entry()
    for kind, number in told:
        before, known = entry.stamp, entry.present
        entry, changes = step(entry, kind, number)
        assert entry.stamp >= before
        if entry.stamp == before and known is not None:
            assert (entry.present, changes) == (known, [])
        if entry.ahead is not None:
            assert stamp(entry.ahead) > entry.stamp


@given(steps)
def test_whatever_comes_before_the_end_is_the_same(told: list[tuple[str, int]]) -> None:
    """Once all events have come, or the last projection, nothing that came before matters."""
    entry = Entry()
    for kind, number in told:
        entry, _ = step(entry, kind, number)
    by_events, by_projection = entry, entry
    for each in TWO_LIVES:
        by_events, _ = fold_event(by_events, each, each.seq)
    by_projection, _ = fold_projection(by_projection, VIEWS[-1])
    by_projection, _ = believe(by_projection)
    for end in (by_events, by_projection):
        assert end.present is not None
        assert alike(end.present, VIEWS[-1])
        assert end.ahead is None


@given(st.lists(st.integers(0, 12), max_size=30))
def test_projections_between_the_events_add_no_change_and_take_none(places: list[int]) -> None:
    """However early or late: the events alone tell, each once and in order."""
    _, alone = folded(TWO_LIVES)
    entry, told = Entry(), list[ContainerChange]()
    for number, each in enumerate(TWO_LIVES):
        for place in places:
            if place % len(TWO_LIVES) == number:
                entry, changes = fold_projection(entry, VIEWS[places[place % len(places)]])
                told += changes
        entry, changes = fold_event(entry, each, each.seq)
        told += changes
    assert told == alone
