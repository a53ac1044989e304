"""The one vocabulary of subjects (docs/protocol.md): built and parsed nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import COMMAND_ID_PATTERN, NAME_PATTERN, OP_PATTERN

DEFAULT_PREFIX = "wharfside.v1"
NODE_TOKEN = "_node"
"""Stands in the container's place for the node's own events; no name starts so."""

KEPT = 4096
"""Names that were found good are not looked at again: each call names a few of the same."""

_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,7}")
_NAME = re.compile(NAME_PATTERN)
_COMMAND_ID = re.compile(COMMAND_ID_PATTERN)
_OP = re.compile(OP_PATTERN)


@lru_cache(maxsize=KEPT)
def check_name(value: str, what: str) -> str:
    """`value`, where it is one token of a subject and one segment of a path.

    Raises:
        Invalid: anything else; `what` ("node", "container") is named in the message.
    """
    if not _NAME.search(value):
        raise Invalid(
            f"{what} {value!r} is no name: use a-z, 0-9, '_' and '-', at most 63, "
            "beginning with a letter or digit"
        )
    return value


def check_command_id(value: str) -> str:
    """`value`, where it is a command id.

    Raises:
        Invalid: not 8 to 64 of `A-Za-z0-9_-`.
    """
    if not _COMMAND_ID.search(value):
        raise Invalid(f"command id {value!r}: use 8 to 64 of A-Z, a-z, 0-9, '_' and '-'")
    return value


@lru_cache(maxsize=KEPT)
def _check_op(value: str) -> str:
    if not _OP.search(value):
        raise Invalid(f"op {value!r} is no op: use 1 to 64 of A-Z, a-z, 0-9, '_' and '-'")
    return value


@dataclass(frozen=True, slots=True)
class Subjects:
    """Every subject under one prefix.

    Raises:
        Invalid: the prefix is not a plain subject.
    """

    prefix: str = DEFAULT_PREFIX

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise Invalid(f"subject prefix {self.prefix!r}: plain tokens joined by dots")

    def rpc(self, node: str, op: str) -> str:
        return f"{self.prefix}.rpc.{check_name(node, 'node')}.{_check_op(op)}"

    def rpc_of(self, node: str) -> str:
        """What the agent of `node` answers to."""
        return f"{self.prefix}.rpc.{check_name(node, 'node')}.*"

    def command(self, node: str, op: str) -> str:
        return f"{self.prefix}.cmd.{check_name(node, 'node')}.{_check_op(op)}"

    def commands_of(self, node: str) -> str:
        """What the mailbox of `node` holds."""
        return f"{self.prefix}.cmd.{check_name(node, 'node')}.>"

    def event(self, node: str, container: str | None, type_: str) -> str:
        """`container` None: an event of the node itself."""
        return f"{self.prefix}.evt.{check_name(node, 'node')}.{_lane(container)}.{type_}"

    def events_of(self, node: str, container: str | None) -> str:
        """Every event of one container: the scope of the expected-sequence rule."""
        return f"{self.prefix}.evt.{check_name(node, 'node')}.{_lane(container)}.>"

    def events_of_node(self, node: str) -> str:
        """Every event of a node and of its containers."""
        return f"{self.prefix}.evt.{check_name(node, 'node')}.>"

    def all_events(self, node: str = "*", container: str = "*", type_: str = "*") -> str:
        return f"{self.prefix}.evt.{node}.{container}.{type_}"

    def live_events(self, node: str = "*", container: str = "*", type_: str = "*") -> str:
        """What the stream stored, as the server republishes it to watchers."""
        return f"{self.prefix}.live.evt.{node}.{container}.{type_}"

    def accepted(self, node: str, command_id: str) -> str:
        return f"{self._results_of(node, command_id)}.accepted"

    def result(self, node: str, command_id: str) -> str:
        return f"{self._results_of(node, command_id)}.result"

    def _results_of(self, node: str, command_id: str) -> str:
        return f"{self.prefix}.res.{check_name(node, 'node')}.{check_command_id(command_id)}"

    def live_results(self, node: str, command_id: str) -> str:
        """What the node tells of one durable command, as the server republishes it."""
        return f"{self.prefix}.live.res.{check_name(node, 'node')}.{check_command_id(command_id)}.*"

    def progress(self, node: str, command_id: str) -> str:
        return f"{self.prefix}.progress.{check_name(node, 'node')}.{check_command_id(command_id)}"

    def io_up(self, node: str, peer: str, session: str) -> str:
        """Frames to the node (io_frames.py)."""
        return f"{self._session(node, peer, session)}.up"

    def io_down(self, node: str, peer: str, session: str) -> str:
        """Frames to the peer."""
        return f"{self._session(node, peer, session)}.down"

    def _session(self, node: str, peer: str, session: str) -> str:
        peer, session = check_name(peer, "peer"), check_name(session, "session")
        return f"{self.prefix}.io.{check_name(node, 'node')}.{peer}.{session}"

    def io_up_of(self, node: str) -> str:
        """What the peers of all sessions of `node` send."""
        return f"{self.prefix}.io.{check_name(node, 'node')}.*.*.up"

    def session_of(self, subject: str, node: str) -> tuple[str, str]:
        """Peer and session in a subject below `io_up_of`.

        Raises:
            Invalid: it is none.
        """
        rest = subject.removeprefix(f"{self.prefix}.io.{node}.").split(".")
        if len(rest) != 3 or rest[2] != "up":
            raise Invalid(f"subject {subject!r} is no session of node {node}")
        return check_name(rest[0], "peer"), check_name(rest[1], "session")

    def log(self, node: str, container: str, process: str) -> str:
        """A process's output, shipped."""
        container, process = check_name(container, "container"), check_name(process, "process")
        return f"{self.prefix}.log.{check_name(node, 'node')}.{container}.{process}"

    def carriage(self, source: str, target: str, migration: str, number: int) -> str:
        """One message from node to node while a container moves."""
        source, target = check_name(source, "node"), check_name(target, "node")
        return f"{self.prefix}.ckpt.{source}.{target}.{check_command_id(migration)}.{number}"

    def carriages_to(self, node: str) -> str:
        """What other nodes send to `node`."""
        return f"{self.prefix}.ckpt.*.{check_name(node, 'node')}.>"

    def carriage_of(self, subject: str, node: str) -> tuple[str, str]:
        """The sender and the migration in a subject below `carriages_to`.

        Raises:
            Invalid: it is none.
        """
        parts = subject.removeprefix(f"{self.prefix}.ckpt.").split(".")
        if len(parts) != 4 or parts[1] != node or not subject.startswith(f"{self.prefix}.ckpt."):
            raise Invalid(f"subject {subject!r} is nothing carried to node {node}")
        return check_name(parts[0], "node"), check_command_id(parts[2])

    def live_nodes(self, node: str = "*") -> str:
        return f"{self.prefix}.kv.nodes.{node}"

    def live_containers(self, node: str = "*", container: str = "*") -> str:
        return f"{self.prefix}.kv.containers.{node}.{container}"

    def op_of(self, subject: str, node: str) -> str:
        """The op in an rpc subject of `node`.

        Raises:
            Invalid: the subject is not below this node's own rpc prefix. A broker
                can be made to deliver foreign subjects; they are never obeyed.
        """
        return self._op_below("rpc", subject, node, "an rpc")

    def mailed_op_of(self, subject: str, node: str) -> str:
        """The op in a subject of the mailbox of `node`.

        Raises:
            Invalid: as `op_of`.
        """
        return self._op_below("cmd", subject, node, "in the mailbox")

    def _op_below(self, lane: str, subject: str, node: str, what: str) -> str:
        op = subject.removeprefix(f"{self.prefix}.{lane}.{node}.")
        if op == subject or "." in op or not op:
            raise Invalid(f"subject {subject!r} is not {what} of node {node}")
        return op


def _lane(container: str | None) -> str:
    return NODE_TOKEN if container is None else check_name(container, "container")
