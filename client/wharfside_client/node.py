"""One node: every op as a typed call."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, TypedDict, Unpack

from wharfside_client.bus import Bus
from wharfside_client.calls import Options, Patience, make_command, send
from wharfside_client.checkpointfiles import CheckpointFileOps
from wharfside_client.checkpoints import CheckpointOps
from wharfside_client.containers import ContainerOps
from wharfside_client.direct import read_last
from wharfside_client.durable import LONGEST_S, Posted, post
from wharfside_client.errors import NodeUnreachable, NotSetUp
from wharfside_client.files import FileOps
from wharfside_client.migration import MigrationOps
from wharfside_client.nodeops import NodeOps
from wharfside_client.ops import V
from wharfside_client.session import Asked, Request, Resume, Session
from wharfside_client.unheard import EVERY_S, unheard
from wharfside_protocol.assets import NODES_BUCKET, node_key
from wharfside_protocol.codec import convert, to_plain
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.errors import Denied, Internal, NotFound, Unsupported, from_body
from wharfside_protocol.io_frames import BULK_WINDOW, Position
from wharfside_protocol.node_commands import CommandArgs, CommandState, Pong
from wharfside_protocol.ops import OPS
from wharfside_protocol.records import Record
from wharfside_protocol.subjects import check_name

RESUME_S = 30.0
"""So long a session that goes on waits for an agent that is started again."""


class LogWish(TypedDict, total=False):
    """What of a log is wanted; see LogsArgs. Times are RFC 3339, or None."""

    incarnation: str | None
    process: str
    run: int | None
    position: Position | None
    since: str | None
    until: str | None
    tail: int | None
    follow: bool
    stdout: bool
    stderr: bool
    times: bool


class Node(NodeOps, ContainerOps, CheckpointOps, FileOps, CheckpointFileOps, MigrationOps):
    """The ops of one node, over rpc or (`durable=True`) its mailbox.

    Every call takes `Options` as keywords and raises:

    - what the node answers: the errors of `wharfside_protocol.errors`;
    - `NodeUnreachable`: no agent of this name is connected;
    - `Unanswered` (a `DeadlineExceeded`): no answer in time, also after repeats under
      the same command id: it is unknown whether it was done;
    - `ServerUnreachable`, `Denied`: the bus itself;
    - a durable one instead `Pending`: kept for the node, not done within `timeout_s`;
      `NotSetUp`: no stream takes it.
    """

    def __init__(self, bus: Bus, name: str) -> None:
        self.name = check_name(name, "node")
        self._bus = bus
        self._subjects = bus.settings.subjects

    async def request(self, op: str, args: Record, **options: Unpack[Options]) -> Result:
        """The node's whole answer, errors too: with `replayed`, `digest` and timings."""
        command, patience = self._command(op, args, options)
        trace = options.get("traceparent")
        if not options.get("durable"):
            return await send(self._bus, self._subjects, command, patience, trace)
        _check_changes(op)
        within_s = options.get("timeout_s", LONGEST_S)
        async with self._posted(command) as posted:
            await post(self._bus, command, trace)
            if within_s <= 0:
                # also where a quick node has told by now: the answer is the same every time
                raise posted.pending(within_s)
            following = options.get("following")
            with nullcontext() if following is None else following(posted):
                return await posted.result(within_s)

    async def post(
        self, op: str, args: Record | Mapping[str, Any], **options: Unpack[Options]
    ) -> Posted:
        """Leaves a changing op in the node's mailbox, and waits for nothing but the PubAck.

        `async with await node.post(...) as posted: await posted.result(60)` follows it.

        Raises:
            Unsupported: there is no such op, or it changes nothing.
            Invalid: these are not its arguments.
        """
        _check_changes(op)
        options["durable"] = True
        command, _ = self._command(op, _args_of(op, args), options)
        posted = self._posted(command)
        posted.duplicate = await post(self._bus, command, options.get("traceparent"))
        return posted

    def _command(self, op: str, args: Record, options: Options) -> tuple[Command, Patience]:
        actor, signed = self._bus.settings.actor, self._bus.signer is not None
        return make_command(self.name, op, args, actor, options, signed=signed)

    def posted(self, command: str) -> Posted:
        """A durable command that was posted before, here or elsewhere, to be followed.

        Raises:
            Invalid: no command has such an id.
        """
        return Posted(self._bus, self._subjects, self.name, command)

    def _posted(self, command: Command) -> Posted:
        posted = self.posted(command.id)
        posted.check(command)
        return posted

    async def call(
        self, op: str, args: Record | Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> Record:
        """Any op by its name, with its record or plain arguments; its value as a record.

        Raises:
            Unsupported: there is no such op.
            Invalid: these are not its arguments.
        """
        made = _args_of(op, args or {})
        return await self._call(op, made, OPS[op].value, options)

    def session(
        self,
        op: str,
        args: Asked,
        *,
        window: int = BULK_WINDOW,
        resume: bool | Resume = False,
        **options: Unpack[Options],
    ) -> Session:
        """An I/O session that `op` opens, as a context to be iterated over and written to.

        `args` are plain and without `open`, or a function from the `Opening` to the record.
        `window`: so many bytes are kept here for a reader that is slow. `resume`: what to
        open where the agent has died, for output that goes on behind a position: True for
        the same op with `position` (`logs`, `attach`), or a function that tells.

        `async with node.session("logs", {"container": "web"}) as s: async for item in s: ...`
        """
        request = Request(op, args)

        async def call(op: str, made: Record) -> Record:
            asked = options.copy()
            options.pop("command_id", None)  # the first session's alone
            options.setdefault("unreachable_s", RESUME_S)
            return await self._call(op, made, OPS[op].value, asked)

        return Session(
            self._bus,
            self.name,
            request,
            call,
            window,
            request.behind if resume is True else resume or None,
        )

    def logs(
        self, container: str, *, window: int = BULK_WINDOW, **wish: Unpack[LogWish]
    ) -> Session:
        """What a process has printed, as a context to be iterated over (`session`).

        Chunks, and `Lost` for what the node keeps no more; where the process is over, last of
        all its `Exit`. An agent that is started again meanwhile costs nothing.

        `async with node.logs("web", follow=True, tail=10) as s: async for item in s: ...`
        """
        position = wish.get("position")
        told = {key: value for key, value in wish.items() if value is not None}
        if position is not None:
            told["position"] = to_plain(position)
        return self.session("logs", {"container": container, **told}, window=window, resume=True)

    async def unheard(self, for_s: float, *, every_s: float = EVERY_S) -> bool:
        """Whether the node gives no sign of life for `for_s`: no answer, and no presence put.

        False at the first sign. What `stop_on_disconnect_s` bounds has ended by itself after
        that and its grace and 30 s, counted from when the node is `silent` (WatchedNode). Only
        time counts in which a server answers us; every `every_s` the node is asked.

        Raises:
            NotSetUp, Denied: presences cannot be read.
        """

        async def ping(timeout_s: float) -> Pong:
            return await self.ping(timeout_s=timeout_s)

        async def last_put() -> int | None:
            put = await read_last(self._bus, f"KV_{NODES_BUCKET}", node_key(self.name))
            return None if put is None else put.seq

        return await unheard(ping, last_put, for_s, every_s)

    async def result(self, command: str, **options: Unpack[Options]) -> CommandState:
        """What became of a command; of a durable one also from the stream, without its node."""
        try:
            return await self._call("result", CommandArgs(command=command), CommandState, options)
        except (NodeUnreachable, NotFound):
            told = await self._told(command)
            if told is None:
                raise
            return told

    async def _told(self, command: str) -> CommandState | None:
        try:
            return await self.posted(command).state()
        except (NotSetUp, Denied):
            return None

    async def _call(self, op: str, args: Record, value: type[V], options: Options) -> V:
        return open_result(await self.request(op, args, **options), value)


def open_result(result: Result, value: type[V]) -> V:
    """The value of a result, or its error raised."""
    if result.error is not None:
        raise from_body(result.error)
    if not result.ok:
        raise Internal(f"node {result.node} failed {result.op} and gave no reason")
    return convert(result.value or {}, value)


def _args_of(op: str, args: Record | Mapping[str, Any]) -> Record:
    if op not in OPS:
        raise Unsupported(f"no op {op!r}; there are: {', '.join(OPS)}", op=op)
    return args if isinstance(args, Record) else convert(dict(args), OPS[op].args)


def _check_changes(op: str) -> None:
    if op in OPS and not OPS[op].changes:
        raise Unsupported(f"{op} changes nothing: ask it without durable", op=op)
