"""A small true story in all its parts, for tests that bend one of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.runner.checker import check
from tests.chaos.runner.records import Command, Owner, Records
from tests.chaos.runner.truth import Life, Truth, read_truth
from tests.chaos.runner.verdict import Verdict

from wharfside_protocol.events import Event, EventType
from wharfside_protocol.times import to_timestamp

T0 = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
INCARNATION = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
NAME = "c-1"
MARK = "wabcdef000001"


def at(seconds: float) -> int:
    return T0 + int(seconds * SECOND)


@dataclass
class Scene:
    """One container `c-1` that ended with 3 at second 2, all of it told well."""

    events: list[Event] = field(default_factory=list)
    records: Records = field(default_factory=Records)
    lines: list[str] = field(default_factory=list)
    _seqs: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def good(cls) -> Scene:
        scene = cls()
        scene.records.owners[MARK] = Owner(NAME, "init", "short")
        command = Command("c" * 8, "run", NAME, at(0), "ok", INCARNATION, 1, at(1.5))
        command.settled, command.settled_ok = "done", True
        scene.records.commands.append(command)
        scene.lines = [f"begin {MARK} 42 {at(1)}", f"exit {MARK} 42 3 0 {at(2)}"]
        scene.tell("created", 0.5, pid=42, bundle="/b", runtime="crun")
        scene.tell("started", 1, pid=42)
        scene.tell("exited", 2, process="init", revision=4, **ended(3, at(2)))
        scene.tell("deleted", 3, revision=5)
        return scene

    def tell(
        self,
        type_: str,
        seconds: float,
        *,
        process: str | None = None,
        revision: int = 3,
        **data: Any,
    ) -> None:
        seq = next(self._seqs)
        moment = to_timestamp(at(seconds))
        self.events.append(
            Event(
                event_id=f"e{seq}",
                node="n1",
                node_id="id",
                boot_id="boot",
                epoch=1,
                seq=seq,
                prev_seq=seq - 1 or None,
                container=NAME,
                incarnation=INCARNATION,
                run=1,
                revision=revision,
                process=process,
                type=EventType(type_),
                occurred_at=moment,
                observed_at=moment,
                published_at=moment,
                data=data,
            )
        )

    @property
    def truth(self) -> Truth:
        return read_truth(self.lines)

    @property
    def life(self) -> Life:
        (life,) = self.truth.lives[MARK]
        return life

    def verdict(self) -> Verdict:
        return check(self.truth, self.events, self.records)


def ended(code: int | None, when: int, **facts: Any) -> dict[str, Any]:
    return {
        "exit_code": code,
        "reason": "self",
        "status_source": "exit-file" if code is not None else "none",
        "status_known": code is not None,
        "exited_at": to_timestamp(when),
    } | facts
