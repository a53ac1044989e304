"""What the table is fed with: changes by a watch, figures by asking the nodes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence

from wharfside_client.changes import Place, State
from wharfside_client.cli.top.board import Board, Look, Row, make_board
from wharfside_client.cli.top.figures import Samples
from wharfside_client.client import Wharfside
from wharfside_client.node import Node
from wharfside_client.watch import Watch
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.node_commands import UsageValue

NODES_AT_ONCE = 16
"""So many nodes are asked at the same time: each once, for all that is wanted of it."""
MOST = 2000
"""Containers asked for in one round; those on the screen are always among them."""
ANSWER_S = 2.0
"""A node that takes longer than this, and than the interval, has no figures now."""
FRESH_ROUNDS = 3


class Feed:
    """
    Attributes:
        changed: set with every change that the watch has told.
        missing: the nodes that were asked last and did not answer, with the reason.
        cut: how many containers were wanted beyond MOST in the last round.
    """

    def __init__(
        self, fleet: Wharfside, watch: Watch, interval_s: float, *, named: Iterable[str] = ()
    ) -> None:
        """`named`: nodes that are asked whatever the bus tells of them."""
        self.changed = asyncio.Event()
        self.missing: dict[str, WharfsideError] = {}
        self.cut = 0
        self._fleet = fleet
        self._watch = watch
        self._named = tuple(named)
        self._patience_s = max(interval_s, ANSWER_S)
        self._samples = Samples(FRESH_ROUNDS * self._patience_s)

    @property
    def state(self) -> State:
        return self._watch.state

    def board(self, look: Look, state: State | None = None) -> Board:
        """As it is now, or as it was in a `state` that was kept."""
        return make_board(state or self.state, self._samples, look, self.missing, time.monotonic())

    async def follow(self) -> None:
        """Takes every change, for ever.

        Raises:
            ServerUnreachable, Unanswered, NotSetUp, Denied: see `Watch`.
        """
        async for _change in self._watch:
            self.changed.set()

    async def sample(self, rows: Iterable[Row]) -> None:
        """One round: each node that should answer is asked once, with what is wanted of it.

        The first of `rows` are the ones that may not be left out.
        """
        asked, self.cut = to_ask(self.state, rows, self._named)
        answers = await self._fleet.ask(
            lambda node: self._usage(node, asked[node.name]), asked, concurrency=NODES_AT_ONCE
        )
        now_s = time.monotonic()
        for name, value in answers.values.items():
            self._take(name, value, now_s)
        self.missing = answers.missing
        self._samples.keep([*self.state.nodes, *self.state.containers])
        self.changed.set()

    async def _usage(self, node: Node, names: Sequence[str]) -> UsageValue:
        return await node.usage(names, timeout_s=self._patience_s)

    def _take(self, node: str, value: UsageValue, now_s: float) -> None:
        known = self.state.nodes.get(node)
        boot = known.info.boot_id if known is not None else None
        self._samples.take(node, boot, value.node, now_s)
        for each in value.containers:
            life = (each.incarnation, each.run)
            self._samples.take(Place(node, each.container), life, each.usage, now_s)


def to_ask(
    state: State, rows: Iterable[Row], named: Iterable[str] = ()
) -> tuple[Mapping[str, Sequence[str]], int]:
    """Of each node that should answer, and of each that is `named`: which containers; and how
    many are too many. Pure.
    """
    up = [
        name for name, node in state.nodes.items() if not node.silent and node.info.state != "down"
    ]
    asked: dict[str, list[str]] = {name: [] for name in (*up, *named)}
    wanted = [row for row in rows if row.view.state.live and row.view.node in asked]
    for row in wanted[:MOST]:
        asked[row.view.node].append(row.view.container)
    return asked, max(len(wanted) - MOST, 0)
