"""Three real nats-servers that are one cluster, each killed, stopped and started at will.

    with NatsCluster(tmp_path / "cluster") as cluster:
        async with connect(cluster.url) as fleet:
            await fleet.setup.bootstrap(replicas=3)

Blocks like NatsServer. What a server has lost is known by its name: `cluster["s2"]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import nats
from nats.errors import Error as NatsError
from tests.support.eventually import wait_until
from tests.support.nats_server import NatsServer
from tests.support.ports import free_ports

LEADER_S = 60.0
"""An election begins after 4 to 9 s of silence (nats-server, raft.go); again, where votes split."""

_META_LEADER = "metadata leader"
"""In the words of the one that it is, and of those that are told."""


class NatsCluster:
    """`config` is of every server: text of nats-server's configuration."""

    def __init__(self, directory: Path, *, size: int = 3, config: str = "") -> None:
        ports = free_ports(size)  # of the routes: each must know of the others before they run
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        self.servers = {
            name: NatsServer(
                directory / name,
                config=f"server_name: {name}\n"
                f'cluster {{ name: test, listen: "127.0.0.1:{port}", routes: [{routes}] }}\n'
                f"{config}",
            )
            for name, port in zip((f"s{n + 1}" for n in range(size)), ports, strict=True)
        }

    def __getitem__(self, name: str) -> NatsServer:
        return self.servers[name]

    def __iter__(self) -> Iterator[NatsServer]:
        return iter(self.servers.values())

    @property
    def url(self) -> str:
        """Of all servers, comma-separated."""
        return ",".join(server.url for server in self)

    async def leader(self, stream: str) -> str | None:
        """The name of the server that leads `stream`; None while nobody tells one."""
        try:
            client = await nats.connect(
                self.url.split(","), allow_reconnect=False, connect_timeout=1, error_cb=_ignore
            )
        except (NatsError, OSError, TimeoutError):
            return None
        try:
            told = await client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=2)
        except (NatsError, TimeoutError):
            return None
        finally:
            await client.close()
        return (json.loads(told.data).get("cluster") or {}).get("leader")

    def start(self) -> None:
        """Returns when JetStream has a leader: some seconds; NeverHappened after 60."""
        for server in self:
            server.start()
        wait_until(
            lambda: all(_META_LEADER in server.log for server in self),
            "every server knows JetStream's leader",
            within_s=LEADER_S,
        )

    def __enter__(self) -> NatsCluster:
        with ExitStack() as stack:
            stack.callback(self.stop)
            self.start()
            stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Killed: nobody needs what they hold, and one that is stopped waits for the others."""
        for server in self:
            server.kill()


async def _ignore(_error: Exception) -> None:
    """A server that is down is what the cluster is for."""
