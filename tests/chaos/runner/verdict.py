"""What the checker finds: each finding is of one kind, and of one container where it has one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

BAD = ("lost", "doubled", "invented", "out_of_order", "stuck", "left_behind")
"""Each must be 0."""


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    what: str
    container: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.container or '-'}: {self.what}"


@dataclass(slots=True)
class Verdict:
    """`unknown`: exits whose status nobody could know, and which were told so.

    `odd`: answers that are no fault by themselves, but worth a look.
    """

    seed: int = 0
    seconds: float = 0.0
    commands: int = 0
    exits: int = 0
    unknown: int = 0
    events: int = 0
    unmarked: int = 0
    late_ms: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    odd: Counter[str] = field(default_factory=Counter)

    def count(self, kind: str) -> int:
        return sum(finding.kind == kind for finding in self.findings)

    @property
    def good(self) -> bool:
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "commands": self.commands,
            "exits": self.exits,
            "events": self.events,
            "faults": self.faults.total(),
            **{kind: self.count(kind) for kind in BAD},
            "unknown": self.unknown,
            "unmarked": self.unmarked,
            "skipped": self.skipped.total(),
            "latest_exit_ms": round(self.late_ms, 1),
            "faults_by_kind": dict(self.faults),
            "skipped_by_kind": dict(self.skipped),
            "answers": dict(self.outcomes),
            "odd": dict(self.odd),
        }

    def table(self) -> str:
        rows: list[tuple[str, object]] = [
            ("commands", self.commands),
            *((f"  {name}", count) for name, count in sorted(self.outcomes.items())),
            ("events", self.events),
            ("exits", self.exits),
            ("  unknown, and nobody could know", self.unknown),
            ("  known to the kernel by pid alone", self.unmarked),
            ("  told at most so far from the kernel's time", f"{self.late_ms:.1f} ms"),
            ("faults", self.faults.total()),
            *((f"  {name}", count) for name, count in sorted(self.faults.items())),
            ("skipped", self.skipped.total()),
            *((f"  {name}", count) for name, count in sorted(self.skipped.items())),
            *((kind, self.count(kind)) for kind in BAD),
        ]
        head = f"seed {self.seed}, {self.seconds:.0f} s"
        lines = (f"{name:<46} {value!s:>10}" for name, value in rows)
        return "\n".join(
            [head, *lines, *(f"odd, {n} times: {what}" for what, n in self.odd.items())]
        )
