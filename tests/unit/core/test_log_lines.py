"""conmon's log, taken apart: whatever bytes a process writes come out again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.log_text import TIME, Lines, log_of, log_texts, written

from wharfside_agent.core.log_lines import (
    Head,
    Heads,
    Run,
    Torn,
    line_heads,
    parse_head,
    runs,
    to_time,
)
from wharfside_protocol.io_frames import StreamName


@given(lines=log_texts, limit=st.integers(0, 60), step=st.integers(1, 50))
def test_heads_are_what_was_written(lines: Lines, limit: int, step: int) -> None:
    heads, log = Heads(limit), log_of(lines)
    for at in range(0, len(log), step):
        heads.feed(log[at : at + step])
    output = heads.output()
    for name in ("stdout", "stderr"):
        text = written(lines, name)
        assert getattr(output, name) == text[:limit]
        assert getattr(output, f"{name}_truncated") is (len(text) > limit)


@given(
    lines=log_texts,
    rest=st.binary(max_size=30).map(lambda rest: rest.replace(b"\n", b"")),
    times=st.booleans(),
    timed=st.booleans(),
)
def test_runs_hold_every_line_and_leave_what_has_no_end(
    lines: Lines, rest: bytes, times: bool, timed: bool
) -> None:
    log = log_of(lines, times=times)
    found = list(runs(log + rest, timed=timed))
    assert (found[-1].end if found else 0) == len(log)
    for name in StreamName.STDOUT, StreamName.STDERR:
        texts = [run.text for run in found if isinstance(run, Run) and run.stream is name]
        assert b"".join(texts) == written(lines, name)


def test_lines_of_one_time_and_stream_are_one_run() -> None:
    one, other = b"%s stdout " % TIME, b"%s stdout " % TIME.replace(b"760788133", b"760788134")
    log = one + b"F a\n" + one + b"F \n" + one + b"P b\n" + other + b"F " + one + b"F c\n"
    first, second = runs(log)
    assert isinstance(first, Run) and first.text == b"a\n\nb"
    # what looks like the beginning of a line, but stands within one, is the process's own
    assert isinstance(second, Run) and second.text == one + b"F c\n"


def test_parts_that_follow_one_another_are_one_run_where_no_time_is_wanted() -> None:
    parts: Lines = [("stdout", False, b"a"), ("stdout", False, b"b"), ("stderr", False, b"c")]
    log = log_of([*parts, ("stderr", True, b"d")], times=True)
    timed, untimed = list(runs(log)), list(runs(log, timed=False))
    assert [run.text for run in timed if isinstance(run, Run)] == [b"a", b"b", b"c", b"d\n"]
    assert [run.text for run in untimed if isinstance(run, Run)] == [b"ab", b"c", b"d\n"]
    assert untimed[-1].end == timed[-1].end == len(log)


@given(st.binary(max_size=80))
def test_a_torn_line_is_passed_over(line: bytes) -> None:
    log = line + b"\n" + log_of([("stdout", True, b"after")])
    found = list(runs(log))
    assert found[-1].end == len(log)
    last = found[-1]
    assert isinstance(last, Run) and last.text.endswith(b"after\n")


def test_a_line_that_is_none_is_told_as_torn() -> None:
    assert list(runs(b"no line\n")) == [Torn(8)]


def test_a_log_that_goes_on_leaves_both_streams_open() -> None:
    heads = Heads(10)
    heads.feed(log_of([("stdout", True, b"x")]))
    output = heads.output(cut=True)
    assert output.stdout == b"x\n"
    assert output.stdout_truncated and output.stderr_truncated


def test_full_means_that_nothing_more_can_change() -> None:
    heads = Heads(1)
    heads.feed(log_of([("stdout", True, b"xx")]))
    assert not heads.full
    heads.feed(log_of([("stderr", False, b"yy")]))
    assert heads.full


def test_a_line_begins_with_its_time_and_stream() -> None:
    line = TIME + b" stderr P some text"
    assert parse_head(line) == Head(TIME, StreamName.STDERR, False)
    assert parse_head(b"x" + line) is None
    assert line_heads(b"torn\n" + line + b"\n") == [(5, Head(TIME, StreamName.STDERR, False))]


def test_times_are_told_in_utc_whatever_zone_the_monitor_has() -> None:
    assert to_time(TIME) == "2026-11-23T21:28:27.760788133Z"
    assert to_time(b"2026-11-24T02:58:27.760788133+05:30") == to_time(TIME)
    assert to_time(b"2026-11-23T13:28:27.760788133-08:00") == to_time(TIME)
