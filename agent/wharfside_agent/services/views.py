"""Rows of the store as the records that travel."""

from __future__ import annotations

from typing import Any

from wharfside_agent.ports.process import Process
from wharfside_agent.ports.rows import ContainerRow, ProcessRow
from wharfside_protocol.commands import CreateValue, StateValue
from wharfside_protocol.states import ContainerState
from wharfside_protocol.times import to_timestamp
from wharfside_protocol.views import ContainerView, ProcessView


def timestamp_or_none(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else to_timestamp(nanoseconds)


def stopping(row: ContainerRow) -> bool:
    """Its end was asked for and has not come yet."""
    return row.end_asked is not None and row.state in (
        ContainerState.RUNNING,
        ContainerState.PAUSED,
    )


def standing(row: ContainerRow) -> dict[str, Any]:
    """The fields of `Standing`, which every answer about a container begins with."""
    return {
        "container": row.name,
        "incarnation": row.incarnation,
        "run": row.run,
        "revision": row.revision,
    }


def restarts(row: ContainerRow) -> dict[str, Any]:
    """What the policy did, and is about to do, as views and projections tell it."""
    policy = row.restart
    return {
        "restarts": 0 if policy is None else policy.attempts,
        "restart_at": timestamp_or_none(policy.due_at)
        if policy is not None and row.state is ContainerState.STOPPED
        else None,
    }


def container_view(row: ContainerRow, command: list[str]) -> ContainerView:
    return ContainerView(
        **standing(row),
        state=row.state,
        stopping=stopping(row),
        pid=row.pid if row.state.live else None,
        created_at=to_timestamp(row.created_at),
        started_at=timestamp_or_none(row.started_at),
        deleted_at=timestamp_or_none(row.deleted_at),
        exit=row.exit,
        **restarts(row),
        oom_kills=row.oom_kills,
        labels=row.spec.labels,
        runtime=row.runtime,
        command=command,
    )


def process_view(row: ProcessRow, handle: Process | None = None) -> ProcessView:
    return ProcessView(
        process=row.process,
        state=row.state,
        spec=row.spec,
        pid=row.pid if row.exit is None else None,
        started_at=timestamp_or_none(row.started_at),
        exit=row.exit,
        fifos=None if handle is None else handle.fifos,
    )


def state_value(row: ContainerRow) -> StateValue:
    return StateValue(
        **standing(row),
        state=row.state,
        pid=row.pid if row.state.live else None,
    )


def create_value(row: ContainerRow) -> CreateValue:
    return CreateValue(
        **standing(row),
        state=row.state,
        bundle=row.bundle,
        pid=row.pid,
    )
