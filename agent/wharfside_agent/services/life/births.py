"""How an incarnation begins: intended first, so that what came of it is told, whoever dies."""

from __future__ import annotations

from collections.abc import Callable

from ulid import ULID

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import ContainerRow, Intent, ProcessRow
from wharfside_agent.ports.runtime import Planned
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live, LiveProcess
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.event_facts import Failed
from wharfside_protocol.specs import ContainerSpec
from wharfside_protocol.states import INIT, ContainerState, ProcessState
from wharfside_protocol.views import RestoredFrom


def new_init(row: ContainerRow) -> ProcessRow:
    """The init of `row`'s run, of which nothing is made yet."""
    return ProcessRow(
        incarnation=row.incarnation,
        run=row.run,
        process=INIT,
        state=ProcessState.ADDED,
        spec=row.spec.process,
    )


class Births:
    """For `create`, and for a restore as a new container."""

    def __init__(
        self,
        store: Store,
        containers: Containers,
        clock: Clock,
        journal: Journal,
        cgroup_of: Callable[[str], str],
        bundle_of: Callable[[str, int], str],
    ) -> None:
        """`cgroup_of` an incarnation, `bundle_of` a run of it."""
        self._store = store
        self._containers = containers
        self._clock = clock
        self._journal = journal
        self._cgroup_of = cgroup_of
        self._bundle_of = bundle_of

    def new(
        self,
        name: str,
        spec: ContainerSpec,
        planned: Planned,
        rules: str,
        restored_from: RestoredFrom | None = None,
    ) -> Live:
        """Nobody knows of it yet."""
        incarnation = str(ULID())
        row = ContainerRow(
            name=name,
            incarnation=incarnation,
            run=1,
            revision=1,
            state=ContainerState.CREATING,
            spec=spec,
            runtime=planned.runtime,
            bundle=self._bundle_of(incarnation, 1),
            cgroup=self._cgroup_of(incarnation),
            created_at=self._clock.now(),
            restored_from=restored_from,
            rules=rules,
            limits=planned.limits,
        )
        return Live(row, {INIT: LiveProcess(new_init(row))})

    async def intend(self, live: Live, command: str, step: Step) -> None:
        """Writes down that it is about to be made; `step` is reached then."""
        row = live.row
        intent = Intent(
            incarnation=row.incarnation,
            op="create",
            step=step,
            begun_at=row.created_at,
            command=command,
            restored_from=row.restored_from,
        )

        def journal(tx: Tx) -> None:
            tx.save_container(row)
            if row.restored_from is not None:  # a later life may find it restored
                tx.save_process(live.init.row)
            tx.save_intent(intent)

        await self._store.transact(journal)
        self._journal.reached(step)

    async def tell_failed(
        self, live: Live, error: WharfsideError, cause: str | None = None
    ) -> None:
        """`create-failed`, once nothing of it is left; its name is free again."""
        await self._containers.advance(
            live,
            Input.CREATE_FAILED,
            Failed(error=error.to_body()),
            changes={"deleted_at": self._clock.now()},
            cause=cause,
            also=lambda tx, row: tx.close_intent(row.incarnation, "create"),
        )
        self._containers.drop(live)
