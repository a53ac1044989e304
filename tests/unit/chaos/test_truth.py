"""The observer's lines, as lives."""

from __future__ import annotations

from tests.chaos.runner.truth import Life, read_truth


def test_a_marked_life_from_its_mark_to_its_end() -> None:
    truth = read_truth(["begin wa 7 100", "exit - 8 0 0 110", "exit wa 7 137 9 120"])
    assert truth.lives == {"wa": [Life("wa", 7, 100, 120, 137, 9)]}
    assert truth.others == {8: [Life(None, 8, None, 110, 0, 0)]}
    assert truth.alive == []


def test_what_has_no_end_lives() -> None:
    assert read_truth(["begin wa 7 100"]).alive == [Life("wa", 7, 100)]


def test_a_pid_that_is_used_again_is_another() -> None:
    lines = ["begin wa 7 100", "exit wa 7 1 0 110", "begin wb 7 120", "exit wb 7 2 0 130"]
    truth = read_truth(lines)
    assert [life.code for life in truth.marked()] == [1, 2]


def test_an_overrun_of_the_kernels_buffer_is_counted() -> None:
    assert read_truth(["lost 105 100"]).overruns == 1
