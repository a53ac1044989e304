"""A running container moves to another node: what is asked of both sides, and what came of it.

The caller asks the target first (`receive`), then the source (`migrate`): a source alone can start
nothing on another node. What the two say to each other is in carriage.py.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.records import CommandId, Counter, Incarnation, Name, Record, Timestamp
from wharfside_protocol.specs import ContainerSpec
from wharfside_protocol.views import CriuInfo, Standing

MovingSeconds = Annotated[float, msgspec.Meta(ge=1, le=86_400)]


class NodeFacts(Record, frozen=True, kw_only=True):
    """What decides whether a container of one node can go on on another.

    `lower`: a digest of the rootfs' names, kinds, owners and sizes; absent where it is too large.
    `image_format`: of the checkpoints that it writes and reads; whoever does not tell it has 2.
    """

    node: Name
    node_id: str
    architecture: str
    kernel: str
    cpu_features: Annotated[list[str], msgspec.Meta(max_length=4096)] = []
    criu: CriuInfo | None = None
    runtimes: Annotated[dict[str, str], msgspec.Meta(max_length=16)] = {}
    lower: str | None = None
    image_format: Counter = 2


class ReceiveArgs(Record, frozen=True, kw_only=True):
    """Expect `container`, made as `spec` says, from node `source`, within `timeout_s`.

    `migration` is the caller's id of the whole. `facts` of the source are compared with ours.
    """

    migration: CommandId
    container: Name
    spec: ContainerSpec
    source: Name
    facts: NodeFacts
    timeout_s: MovingSeconds = 3600.0


class ReceiveValue(Record, frozen=True, kw_only=True):
    migration: CommandId
    facts: NodeFacts
    expires_at: Timestamp


class FactsArgs(Record, frozen=True, kw_only=True):
    """The facts of a node, with those of a container's rootfs where one is named."""

    container: Name | None = None


class MigrateArgs(Record, frozen=True, kw_only=True):
    """`container` to node `target`, which has answered `receive` with `facts`.

    `name`: what it is called there (the same). The other fields as in `checkpoint`.
    """

    container: Name
    migration: CommandId
    target: Name
    facts: NodeFacts
    name: Name | None = None
    tcp: bool = False
    unix_sockets: bool = False
    shell: bool = False
    file_locks: bool = False
    pre_dump: bool = False


class MigrateValue(Standing, frozen=True, kw_only=True):
    """It runs on `target` as `restored`, and is deleted here.

    `stood_still_us`: from the freezing here to the word that it runs there, by this node's clock.
    """

    migration: CommandId
    target: Name
    name: Name
    restored: Incarnation
    restored_run: Counter
    bytes: Counter
    stood_still_us: Counter


class AbortArgs(Record, frozen=True, kw_only=True):
    """Give up, where that is safe. `target_is_dead`: an operator answers for it that the target
    runs nothing of it and never will; only then is one of unknown outcome brought back.
    """

    migration: CommandId
    target_is_dead: bool = False


class MigrationView(Record, frozen=True, kw_only=True):
    """A migration on one of its nodes; `side` is `source` or `target`, `state` as in core.

    `bytes` of `total` are carried. `unknown`: only the other node can say how it stands.
    """

    migration: CommandId
    side: str
    state: str
    container: Name
    peer: Name
    begun_at: Timestamp
    over: bool
    unknown: bool = False
    incarnation: Incarnation | None = None
    bytes: Counter = 0
    total: Counter = 0
    error: ErrorBody | None = None


class MigrationsValue(Record, frozen=True, kw_only=True):
    migrations: list[MigrationView]
