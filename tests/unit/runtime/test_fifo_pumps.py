"""How far a FIFO is, as a later life of the agent finds it."""

from __future__ import annotations

from pathlib import Path

from wharfside_agent.runtime.fifo_pumps import _note


def test_a_place_is_noted_beside_the_one_before_and_never_half(tmp_path: Path) -> None:
    path = tmp_path / "stdout.at"
    _note(path, 5)
    with path.open() as before:
        _note(path, 70)
        assert before.read() == "5", "what a death in the middle would have left"
    assert path.read_text() == "70"
    assert list(tmp_path.iterdir()) == [path]
