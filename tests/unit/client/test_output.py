"""JSON, columns and words as the CLI prints them."""

from __future__ import annotations

import json

import pytest

from wharfside_client.cli import words
from wharfside_client.cli.eventlines import event_words
from wharfside_client.cli.output import MIN_WIDTH, Column, aligned, clean, error_body, fitted
from wharfside_client.cli.plain import dumps, to_json
from wharfside_client.errors import NodeUnreachable
from wharfside_protocol.commands import Output
from wharfside_protocol.errors import WrongState
from wharfside_protocol.event_facts import (
    Attached,
    Detached,
    EventsDropped,
    Exited,
    PressureOn,
    PressurePhase,
    Signaled,
    Snapshot,
    UnderPressure,
    facts,
)
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.exits import ExitReason, ExitStatus, StatusSource
from wharfside_protocol.records import Record
from wharfside_protocol.stats import Pressure, PressureLine

TIME = "2026-01-31T09:00:00.123456789Z"


def exit_status(code: int | None, reason: ExitReason = ExitReason.SELF) -> ExitStatus:
    return ExitStatus(
        exit_code=code,
        reason=reason,
        status_source=StatusSource.PIDFD,
        status_known=code is not None,
        exited_at=TIME,
    )


def test_text_stays_text_in_json() -> None:
    assert to_json(Output(stdout="grüß\n".encode())) == {
        "stdout": "grüß\n",
        "stderr": "",
        "stdout_truncated": False,
        "stderr_truncated": False,
    }


def test_what_is_no_text_is_base64_and_says_so() -> None:
    plain = to_json(Output(stdout=b"\xff\x00"))
    assert (plain["stdout"], plain["stdout_encoding"]) == ("/wA=", "base64")
    assert "stderr_encoding" not in plain


def test_json_has_empty_fields_too_and_the_wires_names() -> None:
    dropped = EventsDropped(from_seq=1, to_seq=2, types=[EventType.PAUSED])
    assert to_json(dropped) == {"epoch": None, "from": 1, "to": 2, "types": ["paused"]}
    assert to_json(exit_status(None))["exit_code"] is None


@pytest.mark.parametrize("pretty", [True, False])
def test_a_document_is_json(pretty: bool) -> None:
    value = [{"exit": exit_status(3), "raw": b"\xff"}]
    assert json.loads(dumps(value, pretty=pretty)) == to_json(value)


def test_columns_are_aligned_and_nothing_is_cut() -> None:
    columns = (Column("NAME"), Column("PID", right=True), Column("COMMAND"))
    rows = [("n1/web", "7", "sh -c " + "x" * 200), ("n1/a-longer-one", "12345", "true")]
    lines = aligned(columns, rows)
    assert lines[0] == "NAME               PID  COMMAND"
    assert lines[1].endswith("x" * 200)
    assert lines[2] == "n1/a-longer-one  12345  true"


def test_a_table_without_rows_is_its_header() -> None:
    assert aligned((Column("NAME"), Column("PID")), []) == ["NAME  PID"]


def test_only_columns_that_grow_give_way_to_the_terminal() -> None:
    columns = (Column("NAME", grows=True), Column("STATE"), Column("COMMAND", grows=True))
    row = ("n" * 50, "running", "c" * 60)
    assert fitted(columns, [row], 200) == [50, 7, 60]
    assert fitted(columns, [row], 80) == [50, 7, 19]  # the name last: it is typed next
    assert fitted(columns, [row], 60) == [37, 7, MIN_WIDTH]
    assert fitted(columns, [row], 10) == [MIN_WIDTH, 7, MIN_WIDTH]


def test_titles_give_way_and_no_half_of_an_id_is_shown() -> None:
    columns = (Column("COMMAND"), Column("CONTAINER", grows=True), Column("RUNNING", right=True))
    row = ("i" * 22, "web", "1/1")
    assert fitted(columns, [row], 80) == [22, 9, 7]
    assert fitted(columns, [row], 40) == [22, 9, 5]
    assert fitted(columns, [row], 10) == [22, 9, 3]


def test_a_nodes_words_cannot_drive_the_terminal() -> None:
    assert clean("a\x1b[31mb\nc\u202e") == "a\\x1b[31mb\\nc\\u202e"


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0B"), (1023, "1023B"), (1536, "1.5K"), (32 << 20, "32M"), (5 << 40, "5.0T")],
)
def test_sizes(count: int | None, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0316, "32ms"), (1, "1s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")],
)
def test_spans(seconds: float, text: str) -> None:
    assert words.span(seconds) == text


def test_an_exit_in_words() -> None:
    assert words.exit_words(None) == "-"
    assert words.exit_words(exit_status(3)) == "3"
    assert words.exit_words(exit_status(137, ExitReason.OOM)) == "137 (oom)"
    assert words.exit_words(exit_status(None, ExitReason.NODE_REBOOT)) == "? (node-reboot)"


def test_an_event_in_words() -> None:
    exited = Exited(
        exit_code=137,
        oom_killed=True,
        reason=ExitReason.OOM,
        status_source=StatusSource.PIDFD,
        status_known=True,
        exited_at=TIME,
        duration_us=2_500_000,
    )
    event = Event(
        event_id="e1",
        node="n1",
        node_id="i",
        boot_id="b",
        epoch=1,
        seq=1,
        container="web",
        process="exec-1",
        type=EventType.EXITED,
        occurred_at=TIME,
        observed_at=TIME,
        replayed=True,
        data=facts(exited),
    )
    assert event_words(event) == (
        "09:00:00.123",
        "n1/web:exec-1",
        "exited",
        "code 137, oom-killed, after 2s (told late)",
    )


def stalled(phase: PressurePhase, **memory: int) -> UnderPressure:
    return UnderPressure(
        resource=PressureOn.MEMORY,
        phase=phase,
        since=TIME,
        stalled_us=600_000,
        window_us=2_000_000,
        figures=Pressure(some=PressureLine()),
        **memory,
    )


@pytest.mark.parametrize(
    ("type_", "data", "words"),
    [
        (EventType.SIGNALED, Signaled(signal=2), "signal 2"),
        (EventType.SNAPSHOT, Snapshot(published_through=9, containers=1), "1 container"),
        (EventType.SNAPSHOT, Snapshot(published_through=9, containers=0), "0 containers"),
        (EventType.ATTACHED, Attached(peer="c1", session="s1", actor="me@a"), "me@a, peer c1"),
        (EventType.DETACHED, Detached(peer="c1", session="s1"), "peer c1"),
        (
            EventType.PRESSURE,
            stalled(PressurePhase.BEGINS, memory_bytes=63 << 20, memory_limit_bytes=64 << 20),
            "stalls on memory, 600ms of 2s, uses 63M of 64M",
        ),
        (
            EventType.PRESSURE,
            stalled(PressurePhase.LASTS, memory_bytes=63 << 20),
            "still stalls on memory, 600ms of 2s, uses 63M",
        ),
        (EventType.PRESSURE, stalled(PressurePhase.OVER), "stalls on memory no more, 600ms of 2s"),
    ],
)
def test_facts_of_an_event_in_words(type_: EventType, data: Record, words: str) -> None:
    event = Event(
        event_id="e1",
        node="n1",
        node_id="i",
        boot_id="b",
        epoch=1,
        seq=1,
        type=type_,
        occurred_at=TIME,
        observed_at=TIME,
        data=facts(data),
    )
    assert event_words(event)[3] == words


def test_an_error_names_the_wires_code_or_our_own() -> None:
    assert error_body(WrongState("no", state="paused"))["code"] == "wrong-state"
    assert error_body(NodeUnreachable("away", node="n1")) == {
        "code": "node-unreachable",
        "message": "away",
        "stage": None,
        "details": {"node": "n1"},
    }
