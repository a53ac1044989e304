"""Logs as conmon writes them, for tests that need no conmon."""

from __future__ import annotations

from hypothesis import strategies as st

TIME = b"2026-11-23T21:28:27.760788133+00:00"

Lines = list[tuple[str, bool, bytes]]
"""(stream, whether its newline is the process's, text)."""

log_texts: st.SearchStrategy[Lines] = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stderr"]),
        st.booleans(),
        st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")),
    ),
    max_size=20,
)


def stamp(number: int) -> bytes:
    """The time of the line of that number: each ten microseconds after the one before."""
    seconds, rest = divmod(number * 10_000, 1_000_000_000)
    return b"2026-11-23T21:%02d:%02d.%09d+00:00" % (*divmod(seconds, 60), rest)


def line(time: bytes, stream: str, whole: bool, text: bytes) -> bytes:
    return b"%s %s %s %s\n" % (time, stream.encode(), b"F" if whole else b"P", text)


def log_of(lines: Lines, *, times: bool = False) -> bytes:
    """`times`: each line has its own, `stamp`."""
    return b"".join(
        line(stamp(number) if times else TIME, *each) for number, each in enumerate(lines)
    )


def written(lines: Lines, stream: str) -> bytes:
    """What the process wrote to it."""
    return b"".join(text + b"\n" * whole for name, whole, text in lines if name == stream)
