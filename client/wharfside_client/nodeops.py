"""The ops on a node itself: what it runs and uses, its commands, its drain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from msgspec.structs import replace

from wharfside_client.calls import Options
from wharfside_client.ops import Ops
from wharfside_protocol.codec import to_plain
from wharfside_protocol.command_base import NoArgs
from wharfside_protocol.commands import ListArgs, ListValue
from wharfside_protocol.node_commands import (
    CancelValue,
    CommandArgs,
    CommandsArgs,
    CommandSummary,
    CommandsValue,
    DrainArgs,
    DrainPolicy,
    DrainValue,
    PolicyCheckArgs,
    PolicyCheckValue,
    Pong,
    UndrainValue,
    UsageArgs,
    UsageValue,
)
from wharfside_protocol.records import Labels, Record
from wharfside_protocol.views import ContainerView, NodeInfo

LIST_PAGE = 500
DRAIN_ANSWER_S = 30.0
"""What a drain takes beside the waiting: KILL after a grace, a restart of the agent."""
COMMANDS_PAGE = 200
USAGE_PAGE = 500


class NodeOps(Ops):
    """See `Node` for what every call takes and raises."""

    async def ping(self, **options: Unpack[Options]) -> Pong:
        return await self._call("ping", NoArgs(), Pong, options)

    async def info(self, **options: Unpack[Options]) -> NodeInfo:
        return await self._call("info", NoArgs(), NodeInfo, options)

    async def list(
        self, *, all: bool = False, labels: Labels | None = None, **options: Unpack[Options]
    ) -> list[ContainerView]:
        """All that live, with `all` also the stopped, of which all `labels` match."""
        found: list[ContainerView] = []
        after: str | None = None
        while True:
            args = ListArgs(all=all, labels=labels or {}, after=after, limit=LIST_PAGE)
            page = await self._call("list", args, ListValue, options)
            found += page.containers
            after = page.next
            if after is None:
                return found

    async def usage(
        self,
        containers: Sequence[str] | None = None,
        *,
        labels: Labels | None = None,
        **options: Unpack[Options],
    ) -> UsageValue:
        """The node's own figures and those of many containers, for a live table.

        Of all that live where `containers` is left out; whoever does not live is not told.
        """
        named = None if containers is None else list(containers[:USAGE_PAGE])
        args = UsageArgs(containers=named, labels=labels or {}, limit=USAGE_PAGE)
        value = await self._call("usage", args, UsageValue, options)
        found, rest = list(value.containers), list(containers or ())[USAGE_PAGE:]
        while rest or value.next is not None:
            args = replace(args, after=value.next)
            if value.next is None:
                args, rest = replace(args, containers=rest[:USAGE_PAGE]), rest[USAGE_PAGE:]
            value = await self._call("usage", args, UsageValue, options)
            found += value.containers
        return replace(value, containers=found)

    async def commands(
        self, *, most: int | None = None, **options: Unpack[Options]
    ) -> Sequence[CommandSummary]:
        """What the node keeps of commands (48 h), the last received first, at most `most`."""
        found: list[CommandSummary] = []
        before: int | None = None
        while most is None or len(found) < most:
            limit = COMMANDS_PAGE if most is None else min(COMMANDS_PAGE, most - len(found))
            args = CommandsArgs(before=before, limit=limit)
            page = await self._call("commands", args, CommandsValue, options)
            found += page.commands
            before = page.next
            if before is None:
                break
        return found

    async def cancel(self, command: str, **options: Unpack[Options]) -> CancelValue:
        return await self._call("cancel", CommandArgs(command=command), CancelValue, options)

    async def policy_check(
        self, op: str, args: Mapping[str, Any] | Record, **options: Unpack[Options]
    ) -> PolicyCheckValue:
        """Whether the node would let `op` in, for us and now; nothing is run."""
        plain = to_plain(args) if isinstance(args, Record) else dict(args)
        asked = PolicyCheckArgs(op=op, args=plain)
        return await self._call("policy-check", asked, PolicyCheckValue, options)

    async def drain(
        self,
        policy: DrainPolicy = DrainPolicy.STOP,
        *,
        within_s: float = 600.0,
        **options: Unpack[Options],
    ) -> DrainValue:
        """No new work from now on; returns when nothing runs any more, or after `within_s`.

        The node stays draining, over restarts of its agent, until `undrain`.
        """
        options.setdefault("timeout_s", within_s + DRAIN_ANSWER_S)
        options.setdefault("unreachable_s", DRAIN_ANSWER_S)
        args = DrainArgs(policy=policy, timeout_s=within_s)
        return await self._call("drain", args, DrainValue, options)

    async def undrain(self, **options: Unpack[Options]) -> UndrainValue:
        return await self._call("undrain", NoArgs(), UndrainValue, options)
