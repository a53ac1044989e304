"""What a run writes down about itself, for the checker: commands, faults, and what it made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Command:
    """One command; times in nanoseconds of the wall clock.

    `outcome` is `ok`, the error's code, or `unanswered`; `settled` is what the node said of it
    when all was quiet again: `done`, `not-found`, or a state that is no end. `kept`: the
    mailbox has taken it, so the node must know of it in the end.
    """

    id: str
    op: str
    container: str
    sent_at: int
    outcome: str = "unanswered"
    incarnation: str | None = None
    run: int | None = None
    answered_at: int | None = None
    settled: str | None = None
    settled_ok: bool | None = None
    message: str = ""
    kept: bool = False


@dataclass(slots=True)
class Fault:
    """One thing that was hurt. `pids` are the processes that it ended or stopped.

    `victims` are all below a killed monitor: processes that nobody watched from then on.
    """

    kind: str
    begun_at: int
    ended_at: int | None = None
    pids: list[int] = field(default_factory=list)
    victims: list[int] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose mark it is. `expects_oom`: it eats more memory than it may have."""

    container: str
    process: str
    kind: str
    expects_oom: bool = False


@dataclass(slots=True)
class Records:
    """The run's own books. `kills`: containers whose end somebody asked for."""

    commands: list[Command] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    owners: dict[str, Owner] = field(default_factory=dict)
    kills: set[str] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
