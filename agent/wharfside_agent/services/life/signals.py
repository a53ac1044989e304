"""Tells a signal before it is sent, so that an end that it causes knows of it."""

from __future__ import annotations

import signal

import msgspec

from wharfside_agent.core.signals import signal_number
from wharfside_agent.ports.rows import Intent
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live, LiveProcess
from wharfside_protocol.errors import NotFound, WrongState
from wharfside_protocol.event_facts import Signaled, WhyNotRestarting
from wharfside_protocol.events import EventType
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.states import ContainerState


def signal_target(live: Live, name: str) -> LiveProcess:
    """
    Raises:
        NotFound: there is no such process.
        WrongState: it does not run.
    """
    process = live.processes.get(name)
    if process is None:
        raise NotFound(f"{live.row.name} has no process {name}: see list-processes")
    alive = live.row.state in (ContainerState.RUNNING, ContainerState.PAUSED)
    if not alive or process.handle is None or process.row.exit is not None:
        raise WrongState(
            f"{live.row.name}/{name} does not run: there is nothing to signal",
            state=str(live.row.state),
        )
    return process


async def tell_signal(
    containers: Containers,
    live: Live,
    process: LiveProcess,
    number: int,
    cause: str | None = None,
    intent: Intent | None = None,
) -> None:
    """Commits `signaled`; with `intent` a later life sends what this one has only told."""
    name = process.row.process
    data = Signaled(signal=number)
    draft = containers.draft(live.row, EventType.SIGNALED, data, process=name, cause=cause)

    def ask() -> None:
        """It may have ended while other changes were committed: then nothing is told."""
        row = signal_target(live, name).row
        if row.end_asked is None:
            process.row = msgspec.structs.replace(row, end_asked=str(ExitReason.KILL))

    def also(tx: Tx, _container: object) -> None:
        tx.save_process(process.row)
        if intent is not None:
            tx.save_intent(intent)

    changes = {"held": WhyNotRestarting.STOPPED} if _ends(live, process, number) else {}
    await containers.commit(live, [draft], changes=changes, also=also, guard=ask)


def _ends(live: Live, process: LiveProcess, number: int) -> bool:
    """It asks the container to end, as a stop does: then no policy starts it again."""
    asks = number in (signal.SIGKILL, signal_number(live.row.spec.stop_signal))
    return asks and process is live.init
