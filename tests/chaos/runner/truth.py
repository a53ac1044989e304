"""What the observer saw, as lives of processes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Life:
    """One process; times in nanoseconds of the wall clock, `ended_at` None while it lives.

    `code` is as the shell has it, `signal` 0 where no signal ended it. `began_at` is when it told
    its mark, None for one that told none.
    """

    mark: str | None
    pid: int
    began_at: int | None
    ended_at: int | None = None
    code: int | None = None
    signal: int = 0


@dataclass(slots=True)
class Truth:
    """`lives` by mark, in the order of their ends; `others` by pid; `overruns` must be 0."""

    lives: dict[str, list[Life]] = field(default_factory=dict)
    others: dict[int, list[Life]] = field(default_factory=dict)
    overruns: int = 0

    @property
    def alive(self) -> list[Life]:
        return [life for each in self.lives.values() for life in each if life.ended_at is None]

    def marked(self) -> Iterable[Life]:
        return (life for each in self.lives.values() for life in each)


def read_truth(lines: Iterable[str]) -> Truth:
    """The observer's file."""
    truth = Truth()
    open_: dict[int, Life] = {}
    for line in lines:
        match line.split():
            case ["begin", mark, pid, at]:
                open_[int(pid)] = Life(mark, int(pid), int(at))
            case ["exit", _, pid, code, signal, at]:
                born = open_.pop(int(pid), None) or Life(None, int(pid), None)
                end = replace(born, ended_at=int(at), code=int(code), signal=int(signal))
                _keep(truth, end)
            case ["lost", *_]:
                truth.overruns += 1
    for life in open_.values():
        _keep(truth, life)
    return truth


def _keep(truth: Truth, life: Life) -> None:
    if life.mark is None:
        truth.others.setdefault(life.pid, []).append(life)
    else:
        truth.lives.setdefault(life.mark, []).append(life)
