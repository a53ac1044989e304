"""A node on a cluster of three: streams at R3, its mailbox at R1."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.client_kit import opened_bus
from tests.integration.world import World, everything
from tests.support.event_order import violations
from tests.support.eventually import eventually
from tests.support.leaks import nothing_left
from tests.support.nats_cluster import NatsCluster
from tests.support.nats_server import NatsServer
from tests.support.rootfs import build_rootfs

from wharfside_client import connect
from wharfside_client.assets import Outcome
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import CMD, CONTAINERS_BUCKET, EVT, NODES_BUCKET, RES
from wharfside_protocol.errors import WharfsideError

NODE = "n1"

ELECTED_S = 60.0
"""A leader is elected after 4 to 9 s of silence, and again where votes were split; then whoever
waited tries again within some seconds. And a machine may do other things, too."""


@dataclass(frozen=True)
class ClusterWorld(World):
    cluster: NatsCluster

    @property
    def url(self) -> str:
        return self.cluster.url

    def at(self, place: str) -> NatsServer:
        """The server that a node names as its own."""
        port = int(place.rpartition(":")[2])
        return next(server for server in self.cluster if server.port == port)

    async def api(self, subject: str) -> dict[str, Any]:
        async with opened_bus(self.url) as bus:
            return await JetStream(bus).api(subject)

    async def mailbox_server(self) -> NatsServer:
        """Who keeps the node's mailbox: nobody else can answer for it."""
        told = await self.api(f"CONSUMER.INFO.{CMD}.{NODE}")
        return self.cluster[told["cluster"]["leader"]]

    async def healed(self) -> None:
        """Every replica of what matters is there and has caught up: the next one may die."""
        for stream in (EVT, CMD, RES, f"KV_{NODES_BUCKET}", f"KV_{CONTAINERS_BUCKET}"):
            await eventually(
                lambda stream=stream: self._current(stream),  # type: ignore[misc]
                f"{stream} has its replicas",
                within_s=ELECTED_S,
                every_s=0.2,
            )

    async def leader(self, stream: str) -> NatsServer:
        """Who leads it, once somebody does."""
        name = await eventually(
            lambda: self.cluster.leader(stream), f"a leader of {stream}", within_s=ELECTED_S
        )
        assert name is not None
        return self.cluster[name]

    async def _current(self, stream: str) -> bool:
        try:
            told = (await self.api(f"STREAM.INFO.{stream}"))["cluster"]
        except WharfsideError:
            return False
        replicas = told.get("replicas") or []
        return (
            bool(told.get("leader"))
            and len(replicas) == 2
            and all(each["current"] and not each.get("offline") for each in replicas)
        )


@contextmanager
def make_cluster_world(folder: Path) -> Iterator[ClusterWorld]:
    """Bootstrapped; afterwards nothing is left, and all that was told is in order."""
    with nothing_left(folder) as gate:
        rootfs = build_rootfs(folder / "roots" / "busybox")
        with NatsCluster(folder / "nats", config="max_payload: 8MB") as cluster:
            asyncio.run(_bootstrap(cluster.url))
            (first, *_) = cluster
            world = ClusterWorld(folder, first, gate.cgroup, rootfs, cluster)
            yield world
            asyncio.run(world.healed())
            broken = violations(asyncio.run(everything(cluster.url)))
        assert not broken, "\n".join(broken)


async def _bootstrap(url: str) -> None:
    """Again until all is there: who leads may not have heard of every server yet."""
    async with connect(url) as fleet:

        async def made() -> bool:
            try:
                reports = await fleet.setup.bootstrap(replicas=3)
                reports.append(await fleet.setup.add_node(NODE))
            except WharfsideError:
                return False
            return {each.outcome for each in reports} <= {Outcome.CREATED, Outcome.UNCHANGED}

        await eventually(made, "streams and mailbox", within_s=ELECTED_S, every_s=0.5)
