"""What happened to containers in this life of the agent, counted as it is committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from wharfside_agent.ports.rows import EventDraft
from wharfside_protocol.events import EventType
from wharfside_protocol.states import INIT


class LifeFigures:
    """`events` by type, also those that a full outbox dropped; `exits` by process and reason."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.exits: Counter[tuple[str, str]] = Counter()
        self.unknown_exits = 0
        self.oom_kills = 0

    def note(self, drafts: Iterable[EventDraft]) -> None:
        for draft in drafts:
            self.events[str(draft.type)] += 1
            if draft.type is EventType.EXITED:
                process = INIT if draft.process == INIT else "exec"
                self.exits[process, str(draft.data["reason"])] += 1
                self.unknown_exits += not draft.data.get("status_known", True)
            elif draft.type is EventType.OOM:
                self.oom_kills += int(draft.data["oom_kills_added"])
