"""A container moves from node to node: announced to the one, sent by the other."""

from __future__ import annotations

import contextlib
import secrets
from typing import TypedDict, Unpack

from wharfside_client.calls import Options
from wharfside_client.errors import ClientError
from wharfside_client.migration import MIGRATE_S
from wharfside_client.node import Node
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.migration import MigrateArgs, MigrateValue, NodeFacts, ReceiveArgs

KEPT_OPEN_S = 300.0
"""Beyond `timeout_s` the target still waits for a source that is slow."""


def new_migration() -> str:
    return f"m-{secrets.token_hex(10)}"


class Taken(TypedDict, total=False):
    """What CRIU may take along, as `MigrateArgs` has it; what is left out is not."""

    tcp: bool
    unix_sockets: bool
    shell: bool
    file_locks: bool
    pre_dump: bool


async def move(
    source: Node,
    container: str,
    target: Node,
    *,
    name: str | None = None,
    migration: str | None = None,
    timeout_s: float = MIGRATE_S,
    command_id: str | None = None,
    **taken: Unpack[Taken],
) -> MigrateValue:
    """`container` goes on on `target`, and is deleted on `source`; or goes on where it was.

    `command_id`: of the source's `migrate`, by which its progress is heard and it is canceled.

    Raises:
        Unsupported, AlreadyExists, NotFound, WrongState, ...: nothing was done.
        WharfsideError with `details.outcome`: `stayed`, `back` (restored where it was), or
            `stranded` (stopped there, with its checkpoint kept).
        Unanswered: not over yet; `migrations` of the source tells how it stands.
    """
    migration = migration or new_migration()
    kept_open_s = timeout_s + KEPT_OPEN_S
    facts = await _announced(source, container, target, name or container, migration, kept_open_s)
    args = MigrateArgs(
        container=container,
        migration=migration,
        target=target.name,
        facts=facts,
        name=name,
        **taken,
    )
    options: Options = {"timeout_s": timeout_s}
    if command_id is not None:
        options["command_id"] = command_id
    return await _sent(source, target, args, options)


async def _announced(
    source: Node, container: str, target: Node, name: str, migration: str, timeout_s: float
) -> NodeFacts:
    """What the target says of itself, which waits for the container for `timeout_s`."""
    facts = await source.facts(container)
    details = await source.inspect(container)
    announced = ReceiveArgs(
        migration=migration,
        container=name,
        spec=details.spec,
        source=source.name,
        facts=facts,
        timeout_s=timeout_s,
    )
    return (await target.receive(announced, unreachable_s=5.0)).facts


async def _sent(source: Node, target: Node, args: MigrateArgs, options: Options) -> MigrateValue:
    try:
        return await source.migrate(args, **options)
    except WharfsideError as error:
        if not isinstance(error, ClientError) and "outcome" not in error.details:
            # refused before it began: the source will never tell the target
            with contextlib.suppress(WharfsideError):
                await target.abort_migration(args.migration)
        raise
