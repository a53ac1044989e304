"""The folded state of a fleet: what is wanted of it, what is remembered, what waits."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.client.test_folding import ONE, TIME, TWO, TWO_LIVES, VIEWS, event

from wharfside_client import picture
from wharfside_client.changes import ContainerChanged, ContainerGone, NodeChanged, NodeGone, Place
from wharfside_client.picture import AHEAD_S, Picture, WatchFilter, copied
from wharfside_protocol.views import ContainerCounts, NodeInfo

WEB = Place("n1", "web")
INFO = NodeInfo(
    node="n1",
    node_id="id",
    boot_id="boot",
    life="life",
    epoch=1,
    version="0.1.0",
    state="up",
    started_at=TIME,
    at=TIME,
)


def later(seconds: int) -> str:
    return f"2026-01-31T09:00:{seconds:02d}Z"


def test_the_state_goes_along_and_a_copy_stays() -> None:
    whole = Picture(WatchFilter())
    state, kept = whole.state, copied(whole.state)
    for seq, each in enumerate(TWO_LIVES[:2], start=10):
        whole.event(seq, each, 0.0)
    assert state.containers == {WEB: VIEWS[1]}
    assert (kept.containers, kept.seq, whole.state.seq) == ({}, 0, 11)


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (WatchFilter(), True),
        (WatchFilter(frozenset({"n1", "n2"})), True),
        (WatchFilter(frozenset({"n2"})), False),
        (WatchFilter(labels={"team": "a"}), True),
        (WatchFilter(labels={"team": "a", "x": "y"}), False),
    ],
)
def test_only_what_is_wanted_is_in_it(wanted: WatchFilter, there: bool) -> None:
    labels = {"team": "a"}
    by_event, by_projection = Picture(wanted), Picture(wanted)
    by_event.event(1, msgspec.structs.replace(TWO_LIVES[0], labels=labels), 0.0)
    by_projection.projection(msgspec.structs.replace(VIEWS[0], labels=labels), 0.0)
    by_projection.believe(WEB, 0.0)
    assert (WEB in by_event.state.containers) is there
    assert (WEB in by_projection.state.containers) is there
    assert by_event.seq == 1, "what is not wanted is past all the same"


def test_one_node_alone_is_a_token_of_subjects() -> None:
    assert WatchFilter(frozenset({"n1"})).node == "n1"
    assert WatchFilter(frozenset({"n1", "n2"})).node == WatchFilter().node == "*"


def test_a_projection_waits_its_time_and_no_longer_once_its_event_is_there() -> None:
    whole = Picture(WatchFilter())
    whole.projection(VIEWS[1], 7.0)
    assert whole.ahead == {WEB: 7.0 + AHEAD_S}
    whole.event(1, TWO_LIVES[0], 8.0)
    assert whole.ahead == {WEB: 7.0 + AHEAD_S}
    whole.event(2, TWO_LIVES[1], 8.0)
    assert whole.ahead == {}


def test_the_deleted_are_remembered_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "GRAVES", 2)
    whole = Picture(WatchFilter())
    for name in ("a", "b", "c"):
        for each in (event(1, "created"), event(2, "deleted")):
            whole.event(0, msgspec.structs.replace(each, container=name), 0.0)
    remembered = [name for name in "abc" if whole.entry(Place("n1", name)).view is not None]
    assert remembered == ["b", "c"]
    assert not whole.state.containers


def test_what_is_read_anew_tells_what_is_different_and_goes_not_back() -> None:
    whole = Picture(WatchFilter())
    for each in TWO_LIVES[:5]:
        whole.event(each.seq, each, 0.0)
    assert whole.replace({WEB: VIEWS[3]}, 0.0) == [], "older than what is known"
    assert whole.state.containers == {WEB: VIEWS[4]}
    gone, new = whole.replace({WEB: VIEWS[9]}, 0.0)
    assert isinstance(gone, ContainerGone) and isinstance(new, ContainerChanged)
    assert (gone.old.incarnation, new.new.incarnation) == (ONE, TWO)
    (gone,) = whole.replace({}, 0.0)
    assert isinstance(gone, ContainerGone)
    assert not whole.state.containers


def test_a_node_is_told_where_it_says_something_new() -> None:
    whole = Picture(WatchFilter(frozenset({"n1"})))
    (told,) = whole.presence(INFO, later(0), silent=False)
    assert (told.old, told.new.info) == (None, INFO)
    counted = msgspec.structs.replace(
        INFO, at=later(30), containers=ContainerCounts(running=1), published_through=7
    )
    assert whole.presence(counted, later(30), silent=False) == []
    assert whole.state.nodes["n1"].info == counted, "not told, but known"
    down = msgspec.structs.replace(INFO, state="down")
    assert whole.presence(down, later(1), silent=False) == [], "it is older"
    assert len(whole.presence(down, later(31), silent=False)) == 1
    assert whole.presence(msgspec.structs.replace(INFO, node="n2"), later(40), silent=False) == []


def test_silence_is_told_once_and_its_end_too() -> None:
    whole = Picture(WatchFilter())
    whole.presence(INFO, later(0), silent=False)
    (told,) = whole.silent("n1")
    assert isinstance(told, NodeChanged)
    assert told.new.silent
    assert whole.silent("n1") == whole.silent("nobody") == []
    assert len(whole.presence(INFO, later(50), silent=False)) == 1
    (gone,) = whole.keep_nodes(["n2"])
    assert isinstance(gone, NodeGone)
    assert not whole.state.nodes
