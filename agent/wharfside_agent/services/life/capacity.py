"""What this node has promised, by its containers and by those on their way here.

Nothing is kept beside them: each answer is summed anew, so that nothing can drift, and a new life
of the agent knows it from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from wharfside_agent.core import capacity as core
from wharfside_agent.core.policy.limits import Amounts, amounts_in
from wharfside_agent.core.policy.verdicts import judge_count
from wharfside_agent.ports.rows import Arrival, ContainerRow
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.rulebook import Rulebook
from wharfside_protocol.states import ContainerState
from wharfside_protocol.views import CapacityView, Resources


class Capacity:
    """`coming` tells the arrivals that are under way.

    `admit` waits for nothing: whoever calls it, and makes its container known before it waits for
    anything, cannot be overtaken.
    """

    def __init__(
        self,
        settings: core.Capacity,
        machine: Resources,
        rules: Rulebook,
        containers: Containers,
        coming: Callable[[], Iterable[Arrival]],
    ) -> None:
        self.settings = settings
        self._machine = machine
        self._rules = rules
        self._containers = containers
        self._coming = coming
        self._held: dict[str, Amounts] = {}

    def view(self, but: str | None = None) -> CapacityView:
        """How it stands, without container `but`."""
        promises = self._promises()
        promises.pop(but or "", None)
        return self.settings.view(self._machine, promises.values())

    def admit(self, name: str, limits: Amounts, rules: str) -> None:
        """Of a new container.

        Raises:
            Denied: its rules or the node take no more containers, or there is no room for it.
        """
        found = self._rules.named(rules)
        others = {by: of for by, of in self._rules_by_name().items() if by != name}
        if (denial := judge_count(list(others.values()).count(rules), found.rules)) is not None:
            raise denial.error(found)
        most = self.settings.containers
        if most is not None and len(others) >= most:
            raise core.TooMany(most)
        self.settings.admit(self.view(but=name), limits)

    def admit_again(self, row: ContainerRow) -> None:
        """Of a stopped one's next run; a restart that is due was promised its room.

        Raises:
            NoCapacity: as `admit`.
        """
        if not counts(row):
            self.settings.admit(self.view(), limits_of(row))

    def admit_more(self, row: ContainerRow, wanted: Amounts) -> None:
        """Of new limits for one that lives: only what grows is asked for.

        Raises:
            NoCapacity: as `admit`.
        """
        self.settings.admit(self.view(but=row.name), wanted, had=limits_of(row))

    @contextmanager
    def held(self, name: str, limits: Amounts) -> Iterator[None]:
        """So much is promised to it as long as the block lasts: call it with nothing in between
        after one of the others has let it in."""
        self._held[name] = limits
        try:
            yield
        finally:
            self._held.pop(name, None)

    def _rules_by_name(self) -> dict[str, str]:
        coming = {row.container: row.rules for row in self._coming()}
        return coming | {live.row.name: live.row.rules for live in self._containers}

    def _promises(self) -> dict[str, Amounts]:
        """By name: what arrives and what it becomes are one."""
        coming = {row.container: row.limits or Amounts() for row in self._coming()}
        here = {live.row.name: limits_of(live.row) for live in self._containers if counts(live.row)}
        return coming | here | self._held


def limits_of(row: ContainerRow) -> Amounts:
    """Those in force; of a row of an older agent those that its caller gave."""
    return amounts_in(row.spec.limits) if row.limits is None else row.limits


def counts(row: ContainerRow) -> bool:
    """It lives, or will by itself: a restart that is due is promised already."""
    due = row.restart is not None and row.restart.due_at is not None
    return due or row.state is not ContainerState.STOPPED
