"""conmon's log, taken apart: whatever bytes a process writes come out again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wharfside_agent.core.log_lines import Heads, parse_line

TIME = b"2026-11-23T21:28:27.760788133+00:00"

texts = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stderr"]),
        st.booleans(),
        st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")),
    ),
    max_size=20,
)


def log_of(lines: list[tuple[str, bool, bytes]]) -> bytes:
    return b"".join(
        b"%s %s %s %s\n" % (TIME, stream.encode(), b"F" if whole else b"P", text)
        for stream, whole, text in lines
    )


@given(lines=texts, limit=st.integers(0, 60), step=st.integers(1, 50))
def test_heads_are_what_was_written(
    lines: list[tuple[str, bool, bytes]], limit: int, step: int
) -> None:
    heads, log = Heads(limit), log_of(lines)
    for at in range(0, len(log), step):
        heads.feed(log[at : at + step])
    output = heads.output()
    for name in ("stdout", "stderr"):
        written = b"".join(text + b"\n" * whole for stream, whole, text in lines if stream == name)
        assert getattr(output, name) == written[:limit]
        assert getattr(output, f"{name}_truncated") is (len(written) > limit)


@given(st.binary(max_size=80))
def test_a_torn_line_is_left_out(line: bytes) -> None:
    parsed = parse_line(line)
    assert parsed is None or parsed.stream in ("stdout", "stderr")


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


def test_a_line_keeps_its_time() -> None:
    line = parse_line(TIME + b" stderr P some text")
    assert line and (line.time, line.stream, line.text) == (TIME.decode(), "stderr", b"some text")
