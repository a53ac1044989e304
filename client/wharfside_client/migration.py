"""A container moves from node to node: the ops of both sides, and the whole."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

from wharfside_client.calls import Options
from wharfside_client.errors import ClientError
from wharfside_protocol.command_base import NoArgs
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.migration import (
    AbortArgs,
    FactsArgs,
    MigrateArgs,
    MigrateValue,
    MigrationsValue,
    MigrationView,
    NodeFacts,
    ReceiveArgs,
    ReceiveValue,
)
from wharfside_protocol.records import Record

if TYPE_CHECKING:
    from wharfside_client.node import Node

V = TypeVar("V", bound=Record)

MIGRATE_S = 600.0
"""A container is dumped, carried and restored within this; past it the source gives up."""

KEPT_OPEN_S = 300.0
"""Beyond that the target still waits for a source that is slow."""


class MigrationOps:
    """See `Node` for what every call takes and raises."""

    async def _call(self, op: str, args: Record, value: type[V], options: Options) -> V:
        raise NotImplementedError

    async def facts(self, container: str | None = None, **options: Unpack[Options]) -> NodeFacts:
        """What decides whether a container can go on here, or elsewhere."""
        return await self._call("facts", FactsArgs(container=container), NodeFacts, options)

    async def receive(self, args: ReceiveArgs, **options: Unpack[Options]) -> ReceiveValue:
        """Announces a container to its target."""
        return await self._call("receive", args, ReceiveValue, options)

    async def migrate(self, args: MigrateArgs, **options: Unpack[Options]) -> MigrateValue:
        """Tells the source to send it; the target was told before."""
        if not options.get("durable"):
            options.setdefault("timeout_s", MIGRATE_S)
        return await self._call("migrate", args, MigrateValue, options)

    async def abort_migration(
        self, migration: str, *, target_is_dead: bool = False, **options: Unpack[Options]
    ) -> MigrationView:
        """Gives up; where the outcome is unknown only by the caller's word on the target.

        Raises:
            WrongState: the target may run it.
        """
        args = AbortArgs(migration=migration, target_is_dead=target_is_dead)
        return await self._call("abort-migration", args, MigrationView, options)

    async def migrations(self, **options: Unpack[Options]) -> MigrationsValue:
        """Those that leave or come, the unfinished first."""
        return await self._call("migrations", NoArgs(), MigrationsValue, options)


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
