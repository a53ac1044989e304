"""When a node is silent: by the server's clock, and told by the next one due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wharfside_client.silence import ServerClock, Silence

SILENT_NS = 90


def test_a_put_moves_the_silence() -> None:
    silence = Silence(SILENT_NS)
    assert silence.next() is None
    silence.put("a", 10)
    silence.put("b", 5)
    assert silence.next() == (5 + SILENT_NS, "b")
    silence.put("b", 20)
    assert silence.next() == (10 + SILENT_NS, "a")
    silence.put("a", 3)
    assert silence.next() == (10 + SILENT_NS, "a"), "an older put tells nothing"
    silence.forget("a")
    assert silence.next() == (20 + SILENT_NS, "b")
    silence.forget("b")
    assert silence.next() is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 50)))))
def test_the_next_one_is_always_the_oldest_put(steps: list[tuple[str, int | None]]) -> None:
    silence, puts = Silence(SILENT_NS), dict[str, int]()
    for node, at in steps:
        if at is None:
            silence.forget(node)
            puts.pop(node, None)
        else:
            silence.put(node, at)
            puts[node] = max(at, puts.get(node, 0))
        due = silence.next()
        assert (due[0] - SILENT_NS if due else None) == min(puts.values(), default=None)


def test_the_servers_clock_is_learnt_from_what_it_stamps() -> None:
    clock = ServerClock(skew_ns=100)
    assert clock.now(5) == 105
    clock.stamped(50, 5, live=False)
    assert clock.now(5) == 105, "an old message tells nothing"
    clock.stamped(500, 5, live=False)
    assert clock.now(6) == 501, "a later stamp than ours does"
    clock.stamped(20, 10, live=True)
    assert clock.now(11) == 21, "and one that is of now tells all"
