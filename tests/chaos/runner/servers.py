"""What is done to the bus: one server is killed or stopped; of a cluster any, or who leads.

A cluster keeps a majority but while one that was killed has not caught up yet: then it takes
nothing, and loses nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tests.chaos.runner.records import Fault
from tests.support.nats_cluster import NatsCluster
from tests.support.nats_server import NatsServer

from wharfside_protocol.assets import CMD, EVT, RES

DOWN_S = (0, 0.3, 2.0)
STOPPED_S = (0.1, 0.5, 2.5)
LONG_S = (*STOPPED_S, 8.0)
"""A cluster elects another leader after 4 to 9 s of silence; connections break at once."""

CLUSTER_S = (1.0, 5.0)
"""Between two faults of a cluster's servers: two of three go on, so there may be more of them."""

Told = Callable[[str, str], AbstractAsyncContextManager[Fault]]


async def hurt_server(bus: NatsServer | NatsCluster, chance: random.Random, told: Told) -> None:
    """One server, once; it runs again afterwards."""
    if isinstance(bus, NatsServer):
        await _hurt(bus, "server", "", chance, told, STOPPED_S)
        return
    stream = chance.choice([EVT, RES, CMD])
    name = chance.choice(list(bus.servers))
    kind = "server"
    if chance.random() < 0.6 and (leader := await bus.leader(stream)) is not None:
        name, kind = leader, "leader"
    await _hurt(bus[name], kind, name, chance, told, LONG_S)


async def _hurt(
    server: NatsServer,
    kind: str,
    name: str,
    chance: random.Random,
    told: Told,
    stopped_s: tuple[float, ...],
) -> None:
    if chance.random() < 0.5:
        async with told(f"{kind}-kill", name) as fault:
            fault.pids.append(server.pid)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(chance.choice(DOWN_S))
            await asyncio.to_thread(server.start)
        return
    async with told(f"{kind}-stop", name) as fault:
        fault.pids.append(server.pid)
        await asyncio.to_thread(server.pause)
        await asyncio.sleep(chance.choice(stopped_s))
        server.resume()
