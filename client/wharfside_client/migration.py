"""A container moves from node to node: the ops of both sides; moving.py has the whole."""

from __future__ import annotations

from typing import Unpack

from wharfside_client.calls import Options
from wharfside_client.ops import Ops
from wharfside_protocol.command_base import NoArgs
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

MIGRATE_S = 600.0
"""A container is dumped, carried and restored within this; past it the source gives up."""


class MigrationOps(Ops):
    """See `Node` for what every call takes and raises."""

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
