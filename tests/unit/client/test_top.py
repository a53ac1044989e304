"""The rows of `top` out of samples and a state: figures, order, filter, widths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.unit.client.test_folding import EXIT, ONE, TIME, event
from tests.unit.client.test_picture import INFO

from wharfside_client.changes import Place, State, WatchedNode
from wharfside_client.cli.top import feed
from wharfside_client.cli.top.board import Board, Look, Sort, make_board
from wharfside_client.cli.top.columns import CONTAINERS, NARROW, NODES, detail, lay_out
from wharfside_client.cli.top.feed import to_ask
from wharfside_client.cli.top.figures import Samples, cpu_percent
from wharfside_protocol.codec import convert
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.states import ContainerState
from wharfside_protocol.stats import Usage
from wharfside_protocol.times import from_timestamp
from wharfside_protocol.views import ContainerProjection

NOW_NS = from_timestamp("2026-01-31T09:01:00Z")


def usage(at_s: float, cpu_s: float | None = None, **others: Any) -> Usage:
    cpu_us = None if cpu_s is None else int(cpu_s * 1e6)
    return Usage(uptime_us=int(at_s * 1e6), cpu_us=cpu_us, **others)


def view(name: str, state: str = "running", node: str = "n1", **others: Any) -> ContainerProjection:
    return ContainerProjection(
        node=node,
        container=name,
        incarnation=ONE,
        run=1,
        revision=1,
        epoch=1,
        seq=1,
        state=ContainerState(state),
        at=TIME,
        **others,
    )


def fleet(*views: ContainerProjection, silent: bool = False) -> State:
    nodes = {
        name: WatchedNode(msgspec.structs.replace(INFO, node=name, cpus=2), TIME, silent)
        for name in sorted({each.node for each in views})
    }
    return State(1, nodes, {Place(each.node, each.container): each for each in views})


def names(board: Board) -> list[str]:
    return [row.view.container for row in board.rows]


def sampled(**used_s: float | None) -> Samples:
    """After two samples 2 s apart, in which so much CPU time was used; None: only one sample."""
    samples = Samples(10.0)
    for name, cpu_s in used_s.items():
        place = Place("n1", name)
        if cpu_s is not None:
            samples.take(place, ONE, usage(100, 5), 0.0)
        samples.take(place, ONE, usage(102, 5 + (cpu_s or 0), pids=3), 2.0)
    return samples


def board(state: State, samples: Samples | None = None, **look: Any) -> Board:
    return make_board(state, samples or Samples(10.0), Look(**look), {}, 2.0)


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        (usage(10, 1.0), usage(12, 1.5), 25.0),
        (usage(10, 1.0), usage(11, 5.0), 400.0),
        (usage(10, 1.0), usage(10, 1.0), None),  # the same sample told again
        (usage(10, 1.0), usage(12, 0.5), None),  # it began anew
        (usage(10, 1.0), usage(9, 2.0), None),  # another boot
        (usage(10, None), usage(12, 2.0), None),
        (usage(10, 1.0), usage(12, None), None),
    ],
)
def test_cpu_percent_is_of_two_samples(before: Usage, after: Usage, percent: float | None) -> None:
    assert cpu_percent(before, after) == percent


def test_figures_of_another_run_are_not_compared_and_old_ones_not_shown() -> None:
    samples = Samples(fresh_s=5.0)
    samples.take("web", (ONE, 1), usage(10, 1), 0.0)
    samples.take("web", (ONE, 2), usage(12, 3), 2.0)
    found = samples.of("web", 2.0)
    assert found is not None and found.cpu_percent is None
    assert samples.of("web", 7.0) is not None
    assert samples.of("web", 7.1) is None
    samples.take("web", (ONE, 2), usage(18, 4), 8.0)
    again = samples.of("web", 8.0)
    assert again is not None and again.cpu_percent is None, "an average over long ago is no figure"
    samples.keep(["other"])
    assert samples.of("web", 8.0) is None


def test_the_worst_pressure_counts_and_none_is_not_zero() -> None:
    samples = Samples(10.0)
    samples.take("a", 1, usage(1, cpu_stalled=0.5, io_stalled=7.0), 0.0)
    samples.take("b", 1, usage(1), 0.0)
    a, b = samples.of("a", 0.0), samples.of("b", 0.0)
    assert a and b
    assert (a.stalled, a.stalls, b.stalled) == (7.0, (0.5, None, 7.0), None)


@pytest.mark.parametrize(
    ("reverse", "order"), [(False, ["busy", "idle", "new"]), (True, ["idle", "busy", "new"])]
)
def test_what_has_no_figure_comes_last_either_way(reverse: bool, order: list[str]) -> None:
    state = fleet(view("new"), view("idle"), view("busy"))
    samples = sampled(idle=0.0, busy=1.0, new=None)
    assert names(board(state, samples, sort=Sort.CPU, reverse=reverse)) == order


@pytest.mark.parametrize("sort", Sort)
def test_whatever_the_order_all_are_there_and_equals_go_by_name(sort: Sort) -> None:
    state = fleet(*(view(name) for name in "cab"))
    for reverse in (False, True):
        assert sorted(names(board(state, sort=sort, reverse=reverse))) == ["a", "b", "c"]
    if sort is not Sort.NAME:
        assert names(board(state, sort=sort, reverse=True)) == ["a", "b", "c"]


def test_orders_of_what_the_bus_tells() -> None:
    late, early = "2026-01-31T09:00:09Z", "2026-01-31T09:00:01Z"
    state = fleet(
        view("old", started_at=early, restarts=2),
        view("young", "paused", started_at=late),
    )
    told = {Place("n1", "old"): msgspec.structs.replace(event(9, "oom"), occurred_at=late)}
    state = State(1, state.nodes, state.containers, told)
    assert names(board(state, sort=Sort.AGE)) == ["young", "old"]
    assert names(board(state, sort=Sort.RUN)) == ["old", "young"]
    assert names(board(state, sort=Sort.STATE)) == ["young", "old"]
    assert names(board(state, sort=Sort.EVENT)) == ["old", "young"]


def test_a_key_pressed_again_turns_the_order() -> None:
    look = Look(sort=Sort.NAME).by(Sort.CPU)
    assert (look.sort, look.reverse) == (Sort.CPU, False)
    assert look.by(Sort.CPU).reverse and not look.by(Sort.CPU).by(Sort.CPU).reverse
    assert not look.by(Sort.CPU).by(Sort.PIDS).reverse


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ["db", "web", "web"]),
        ("web", ["web", "web"]),
        ("WEB", ["web", "web"]),
        ("n2/", ["web"]),
        ("n2/w", ["web"]),
        ("n", ["db", "web", "web"]),
        ("n/", []),
        ("team=a", ["web"]),
        ("team=", ["db", "web"]),
        ("team=a web", ["web"]),
        ("team=a db", []),
        ("color=", []),
    ],
)
def test_all_words_of_a_filter_must_fit(words: str, found: list[str]) -> None:
    state = fleet(
        view("web", labels={"team": "a"}),
        view("db", labels={"team": "b"}),
        view("web", node="n2"),
    )
    shown = board(state, filter=words)
    assert sorted(names(shown)) == found
    assert shown.count == 3


def test_those_that_have_ended_are_shown_where_asked_for() -> None:
    state = fleet(
        view("over", "stopped"), view("again", "stopped", restart_at=TIME), view("web", "created")
    )
    assert names(board(state)) == ["again", "web"]
    assert names(board(state, all=True)) == ["again", "over", "web"]
    assert board(state, all=True).rows[0].state == "restarting"


def test_nodes_count_what_runs_and_stand_as_they_are() -> None:
    state = fleet(view("a"), view("b", "stopped"), view("c", node="n2"))
    made = make_board(state, Samples(10.0), Look(), {"n2": "no answer"}, 0.0)
    assert [(row.node.node, row.running, row.total, row.standing) for row in made.nodes] == [
        ("n1", 1, 2, "up"),
        ("n2", 1, 1, "no reply"),
    ]
    quiet = make_board(fleet(view("a"), silent=True), Samples(10.0), Look(), {}, 0.0)
    assert quiet.nodes[0].standing == "silent"
    assert quiet.rows[0].silent


def test_what_a_removed_node_told_last_is_not_shown() -> None:
    state = fleet(view("a"), view("b", node="n2"))
    gone = replace(state, nodes={"n1": state.nodes["n1"]})
    assert names(board(gone)) == ["a"] and board(gone).count == 1


@pytest.mark.parametrize("total", [80, NARROW - 1, NARROW, 200])
def test_lines_are_as_wide_as_the_terminal_however_long_a_name(total: int) -> None:
    made = board(
        fleet(
            view("a"),
            view("n" * 63, "stopped", restart_at=TIME, restarts=999),
        ),
        sampled(a=1.0),
        sort=Sort.CPU,
    )
    for cells, rows in ((CONTAINERS, made.rows), (NODES, made.nodes)):
        layout = lay_out(cells, total, 66)  # type: ignore[misc,arg-type]
        for texts in (layout.head(), *(layout.line(row, NOW_NS) for row in rows)):  # type: ignore[arg-type]
            assert [len(text) for text in texts] == list(layout.widths)
            assert sum(layout.widths) + layout.gap * (len(texts) - 1) == total
    line = layout_of(total).line(made.rows[0], NOW_NS)
    assert line[1].strip() == "50.0"


def layout_of(total: int) -> Any:
    return lay_out(CONTAINERS, total, 10)


def test_a_terminal_that_is_too_narrow_still_has_its_columns() -> None:
    assert [text.strip() for text in layout_of(10).head()][:3] == ["CONTAINER", "CPU%", "MEM/LIMIT"]


def test_a_line_in_full_and_nothing_drives_the_terminal() -> None:
    told = view("web", "stopped", exit=convert(EXIT, ExitStatus), labels={"team": "a\x1b[2J"})
    state = fleet(told)
    last = msgspec.structs.replace(event(3, "exited"), occurred_at="2026-01-31T09:00:50Z")
    state = State(1, state.nodes, state.containers, {Place("n1", "web"): last})
    row = board(state, all=True).rows[0]
    line = layout_of(200).line(row, NOW_NS)
    assert line[-1].strip() == "exited 10s ago code 3"
    words = detail(row, NOW_NS)
    assert "n1/web" in words and "exit 3" in words and "exited code 3" in words
    assert "\x1b" not in words and "team=a\\x1b[2J" in words


def test_the_end_of_an_exec_does_not_look_like_the_containers() -> None:
    state = fleet(view("web"))
    last = msgspec.structs.replace(
        event(3, "exited", process="x1"), occurred_at="2026-01-31T09:00:50Z"
    )
    row = board(State(1, state.nodes, state.containers, {Place("n1", "web"): last})).rows[0]
    assert layout_of(200).line(row, NOW_NS)[-1].strip() == "exec exited 10s ago code 3"
    assert "exec exited code 3" in detail(row, NOW_NS)


def test_only_who_should_answer_is_asked_and_only_of_what_lives() -> None:
    state = fleet(view("a"), view("over", "stopped"), view("b", "paused", node="n2"))
    nodes = dict(state.nodes)
    rows = board(state, all=True).rows
    assert to_ask(state, rows) == ({"n1": ["a"], "n2": ["b"]}, 0)
    nodes["n1"] = replace(nodes["n1"], silent=True)
    down = msgspec.structs.replace(nodes["n2"].info, state="down")
    nodes["n3"] = replace(nodes["n2"], info=down)
    assert to_ask(State(1, nodes, state.containers), rows) == ({"n2": ["b"]}, 0)
    assert to_ask(state, []) == ({"n1": [], "n2": []}, 0), "their own figures alone"
    silent = State(1, nodes, state.containers)
    asked = {"n1": ["a"], "n2": ["b"], "n7": []}
    assert to_ask(silent, rows, ["n1", "n7"]) == (asked, 0), "who names one wants its answer"


def test_a_round_asks_for_no_more_than_it_may_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST", 2)
    state = fleet(*(view(name) for name in "abcd"))
    assert to_ask(state, board(state).rows) == ({"n1": ["a", "b"]}, 2)
