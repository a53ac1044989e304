"""One node: every op as a typed call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, Unpack

from wharfside_client.bus import Bus
from wharfside_client.calls import Options, make_command, send
from wharfside_client.containers import ContainerOps
from wharfside_protocol.codec import convert
from wharfside_protocol.commands import (
    OPS,
    CancelValue,
    CommandArgs,
    CommandState,
    DrainArgs,
    DrainPolicy,
    DrainValue,
    ListArgs,
    ListValue,
    NoArgs,
    Pong,
    UndrainValue,
)
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import Internal, Unsupported, from_body
from wharfside_protocol.records import Labels, Record
from wharfside_protocol.subjects import check_name
from wharfside_protocol.views import ContainerView, NodeInfo

V = TypeVar("V", bound=Record)

LIST_PAGE = 500
DRAIN_ANSWER_S = 30.0
"""What a drain takes beside the waiting: KILL after a grace, a restart of the agent."""


class Node(ContainerOps):
    """The ops of one node, over rpc. Every call takes `Options` as keywords and raises:

    - what the node answers: the errors of `wharfside_protocol.errors`;
    - `NodeUnreachable`: no agent of this name is connected;
    - `Unanswered` (a `DeadlineExceeded`): no answer in time, also after repeats under
      the same command id: it is unknown whether it was done;
    - `ServerUnreachable`, `Denied`: the bus itself.
    """

    def __init__(self, bus: Bus, name: str) -> None:
        self.name = check_name(name, "node")
        self._bus = bus
        self._subjects = bus.settings.subjects

    async def request(self, op: str, args: Record, **options: Unpack[Options]) -> Result:
        """The node's whole answer, errors too: with `replayed`, `digest` and timings."""
        command, patience = make_command(self.name, op, args, self._bus.settings.actor, options)
        return await send(self._bus, self._subjects, command, patience, options.get("traceparent"))

    async def call(
        self, op: str, args: Record | Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> Record:
        """Any op by its name, with its record or plain arguments; its value as a record.

        Raises:
            Unsupported: there is no such op.
            Invalid: these are not its arguments.
        """
        if op not in OPS:
            raise Unsupported(f"no op {op!r}; there are: {', '.join(OPS)}", op=op)
        if not isinstance(args, Record):
            args = convert(dict(args or {}), OPS[op].args)
        return await self._call(op, args, OPS[op].value, options)

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

    async def result(self, command: str, **options: Unpack[Options]) -> CommandState:
        """What became of a command."""
        return await self._call("result", CommandArgs(command=command), CommandState, options)

    async def cancel(self, command: str, **options: Unpack[Options]) -> CancelValue:
        return await self._call("cancel", CommandArgs(command=command), CancelValue, options)

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

    async def _call(self, op: str, args: Record, value: type[V], options: Options) -> V:
        return open_result(await self.request(op, args, **options), value)


def open_result(result: Result, value: type[V]) -> V:
    """The value of a result, or its error raised."""
    if result.error is not None:
        raise from_body(result.error)
    if not result.ok:
        raise Internal(f"node {result.node} failed {result.op} and gave no reason")
    return convert(result.value or {}, value)
