"""The bus as the settings want it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wharfside_agent.bus.connection import NatsBus
from wharfside_agent.bus.link import CONNECT_FAILURES
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.bus.service import RpcService
from wharfside_agent.errors import SettingsError
from wharfside_agent.handlers.registry import HANDLERS
from wharfside_agent.ports.bus import Request
from wharfside_agent.settings import Settings
from wharfside_protocol import __version__
from wharfside_protocol.codec import encode
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import Busy
from wharfside_protocol.ops import OPS


def make_bus(settings: Settings, node_id: str) -> NatsBus:
    """Not connected yet."""
    name = settings.node.name
    service = RpcService(
        __version__,
        name,
        node_id,
        tuple(HANDLERS),
        tuple(op.name for op in OPS.values() if op.instant),
        tuple(op.name for op in OPS.values() if op.viewers),
        settings.limits.requests,
        _overloaded(name),
    )
    return NatsBus(bus_options(settings), service)


def check_files(options: BusOptions) -> None:
    """
    Raises:
        SettingsError: a file of credentials or certificates cannot be used as it is now.
    """
    try:
        options.connect_arguments(options.servers[0])
    except CONNECT_FAILURES as error:
        raise SettingsError(f"nats: {error}") from error


def _overloaded(node: str) -> Callable[[Request], bytes]:
    def answer(request: Request) -> bytes:
        busy = Busy("this node has as many requests as it takes: try again later")
        op = request.subject.rpartition(".")[2]
        return encode(Result(id="", op=op, node=node, ok=False, error=busy.to_body()))

    return answer


def bus_options(settings: Settings) -> BusOptions:
    """How the settings reach the bus."""
    nats = settings.nats

    def path(text: str | None) -> Path | None:
        return None if text is None else Path(text)

    return BusOptions(
        servers=nats.servers,
        name=f"wharfside-agent {settings.node.name}",
        inbox_prefix=f"_INBOX_{settings.node.name}",
        creds=path(nats.creds),
        nkey_seed=path(nats.nkey_seed),
        ca=path(nats.ca),
        certificate=path(nats.certificate),
        key=path(nats.key),
        user=nats.user,
        password=nats.password,
        password_file=path(nats.password_file),
        ping_interval_s=nats.ping_interval_s,
        unacked_s=nats.unacked_s,
        unanswered_s=nats.unanswered_s,
        spread_s=nats.spread_s,
    )
