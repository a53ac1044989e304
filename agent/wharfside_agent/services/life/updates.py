"""New limits of a container, told once the runtime has them: by `update`, and by recovery."""

from __future__ import annotations

import msgspec

from wharfside_agent.core.lifecycle import Input
from wharfside_agent.core.policy.limits import Amounts, amounts_in
from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.life.capacity import limits_of
from wharfside_agent.services.life.containers import Also, Containers
from wharfside_agent.services.life.live import Live
from wharfside_protocol.event_facts import Updated
from wharfside_protocol.specs import Limits


def in_force(live: Live, wanted: Limits) -> Amounts:
    """The limits in force once `wanted` is: a bundle's own stay where it gives none."""
    given = msgspec.structs.asdict(amounts_in(wanted))
    known = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(limits_of(live.row), **known)


def with_limits(now: Limits | None, wanted: Limits) -> Limits:
    """`now` with the limits that `wanted` gives."""
    given = {key: value for key, value in msgspec.structs.asdict(wanted).items() if value}
    return msgspec.structs.replace(now or Limits(), **given)


async def tell_updated(
    containers: Containers, live: Live, limits: Limits, cause: str | None, also: Also
) -> ContainerRow:
    """Commits all its `limits` with `updated`; `also` joins the transaction."""
    spec = msgspec.structs.replace(live.row.spec, limits=limits)

    def close(tx: Tx, row: ContainerRow) -> None:
        tx.close_intent(row.incarnation, "update")
        also(tx, row)

    data = Updated(limits=limits)
    changes = {"spec": spec, "limits": in_force(live, limits)}
    return await containers.advance(
        live, Input.UPDATE, data, changes=changes, cause=cause, also=close
    )
