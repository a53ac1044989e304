"""The table of ops: arguments, value, and how each is treated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from wharfside_protocol.checkpoints import (
    CheckpointArgs,
    CheckpointsArgs,
    CheckpointsValue,
    CheckpointValue,
    DeleteCheckpointArgs,
    DeleteCheckpointValue,
    RestoreArgs,
)
from wharfside_protocol.command_base import ContainerArgs, InspectArgs, NoArgs
from wharfside_protocol.commands import (
    CreateArgs,
    CreateValue,
    DeleteArgs,
    DeleteValue,
    ExecArgs,
    ExecValue,
    ListArgs,
    ListValue,
    ProcessesValue,
    SignalArgs,
    StateValue,
    StatsValue,
    StopArgs,
    UpdateArgs,
    WaitArgs,
    WaitValue,
)
from wharfside_protocol.io_commands import (
    ArchiveValue,
    AttachArgs,
    CheckpointFileValue,
    GetArchiveArgs,
    LoadCheckpointArgs,
    LogsArgs,
    PutArchiveArgs,
    SaveCheckpointArgs,
    SessionValue,
)
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
from wharfside_protocol.node_commands import (
    CancelValue,
    CommandArgs,
    CommandsArgs,
    CommandState,
    CommandsValue,
    DrainArgs,
    DrainValue,
    PolicyCheckArgs,
    PolicyCheckValue,
    Pong,
    ResyncArgs,
    ResyncValue,
    UndrainValue,
    UsageArgs,
    UsageValue,
)
from wharfside_protocol.records import (
    Record,
)
from wharfside_protocol.views import (
    ContainerDetails,
    NodeInfo,
)


@dataclass(frozen=True, slots=True)
class Op:
    """How an op is treated.

    Attributes:
        changes: stored under its id, replayed to a repeat.
        lane: runs in the container's lane, in order.
        instant: waits for nothing, so it is answered at once, however busy the node is.
        new_work: begins something: refused while the node drains, or is short of what it needs.
        reaches_in: alters something, though it is kept under no id: a session that writes, or
            the end of another command.
        viewers: who may only look may ask it: it changes nothing, and takes no files out.
    """

    name: str
    args: type[Record]
    value: type[Record]
    changes: bool
    lane: bool
    instant: bool = False
    new_work: bool = False
    viewers: bool = False
    reaches_in: bool = False

    @property
    def acts(self) -> bool:
        """Whether anything can be other than before by it."""
        return self.changes or self.reaches_in


def _table(*ops: Op) -> Mapping[str, Op]:
    return MappingProxyType({op.name: op for op in ops})


OPS: Mapping[str, Op] = _table(
    Op("ping", NoArgs, Pong, changes=False, lane=False, instant=True, viewers=True),
    Op("info", NoArgs, NodeInfo, changes=False, lane=False, viewers=True),
    Op("list", ListArgs, ListValue, changes=False, lane=False, viewers=True),
    Op("inspect", InspectArgs, ContainerDetails, changes=False, lane=False, viewers=True),
    Op("list-processes", ContainerArgs, ProcessesValue, changes=False, lane=False, viewers=True),
    Op("stats", ContainerArgs, StatsValue, changes=False, lane=False, viewers=True),
    Op("usage", UsageArgs, UsageValue, changes=False, lane=False, viewers=True),
    Op("wait", WaitArgs, WaitValue, changes=False, lane=False, viewers=True),
    Op("get-archive", GetArchiveArgs, ArchiveValue, changes=False, lane=False),
    Op("put-archive", PutArchiveArgs, ArchiveValue, changes=False, lane=False, reaches_in=True),
    Op("save-checkpoint", SaveCheckpointArgs, CheckpointFileValue, changes=False, lane=False),
    Op(
        "load-checkpoint",
        LoadCheckpointArgs,
        CheckpointFileValue,
        changes=False,
        lane=False,
        reaches_in=True,
    ),
    Op("logs", LogsArgs, SessionValue, changes=False, lane=False, viewers=True),
    Op("resync", ResyncArgs, ResyncValue, changes=False, lane=False),
    Op("attach", AttachArgs, SessionValue, changes=False, lane=False, reaches_in=True),
    Op("result", CommandArgs, CommandState, changes=False, lane=False, viewers=True),
    Op("commands", CommandsArgs, CommandsValue, changes=False, lane=False, viewers=True),
    Op("cancel", CommandArgs, CancelValue, changes=False, lane=False, reaches_in=True),
    Op("policy-check", PolicyCheckArgs, PolicyCheckValue, changes=False, lane=False),
    Op("create", CreateArgs, CreateValue, changes=True, lane=True, new_work=True),
    Op("start", ContainerArgs, StateValue, changes=True, lane=True, new_work=True),
    Op("run", CreateArgs, CreateValue, changes=True, lane=True, new_work=True),
    Op("exec", ExecArgs, ExecValue, changes=True, lane=True, new_work=True),
    Op("signal", SignalArgs, StateValue, changes=True, lane=False),
    Op("stop", StopArgs, WaitValue, changes=True, lane=True),
    Op("pause", ContainerArgs, StateValue, changes=True, lane=True),
    Op("resume", ContainerArgs, StateValue, changes=True, lane=True),
    Op("update", UpdateArgs, StateValue, changes=True, lane=True),
    Op("delete", DeleteArgs, DeleteValue, changes=True, lane=True),
    Op("checkpoint", CheckpointArgs, CheckpointValue, changes=True, lane=True),
    Op("checkpoints", CheckpointsArgs, CheckpointsValue, changes=False, lane=False, viewers=True),
    Op("delete-checkpoint", DeleteCheckpointArgs, DeleteCheckpointValue, changes=True, lane=False),
    Op("restore", RestoreArgs, StateValue, changes=True, lane=True, new_work=True),
    Op("facts", FactsArgs, NodeFacts, changes=False, lane=False),
    Op("receive", ReceiveArgs, ReceiveValue, changes=True, lane=False, new_work=True),
    Op("migrate", MigrateArgs, MigrateValue, changes=True, lane=True),
    Op("abort-migration", AbortArgs, MigrationView, changes=True, lane=False),
    Op("migrations", NoArgs, MigrationsValue, changes=False, lane=False, viewers=True),
    Op("drain", DrainArgs, DrainValue, changes=True, lane=False),
    Op("undrain", NoArgs, UndrainValue, changes=True, lane=False),
)
