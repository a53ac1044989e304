"""One connection that never gives up: supervised, with every nats-py callback guarded.

nats-py ends in CLOSED for good on most -ERR: then a new client takes over, with
credentials read again, and every service and listener is set up on it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from nats.aio.client import Client, Server
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import Header
from nats.js.errors import APIError, NoStreamResponseError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from wharfside_agent.bus.options import USER_TIMEOUT_MS, BusOptions
from wharfside_agent.bus.retries import CONNECT, reconnect_delay
from wharfside_agent.bus.service import RpcService
from wharfside_agent.ports.bus import (
    Handler,
    NoStream,
    Offline,
    Request,
    Undecided,
    WrongSequence,
)

log = structlog.get_logger(__name__)

WRONG_LAST_SEQUENCE = 10071
_CONNECT_FAILURES = (OSError, NatsError, asyncio.TimeoutError, ValueError)

Setup = Callable[[Client], Awaitable[None]]


class NatsBus:
    """See ports.bus.Bus. `run` is its one task."""

    def __init__(self, options: BusOptions, service: RpcService) -> None:
        self._options = options
        self._service = service
        self._client: Client | None = None
        self._closed = asyncio.Event()
        self._setups: list[Setup] = []
        self._tell_connected: list[Callable[[], None]] = []
        self._leaving = False
        self._last_error: Exception | None = None
        self.reconnects = 0

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    @property
    def server(self) -> str:
        """The server's URL; empty while there is none."""
        client = self._client
        return _location(client) if client is not None and client.is_connected else ""

    def on_connected(self, tell: Callable[[], None]) -> None:
        self._tell_connected.append(tell)

    async def serve(self, subject: str, handler: Handler) -> None:
        async def setup(client: Client) -> None:
            await self._service.start(client, subject, handler)

        await self._add(setup)

    async def listen(self, subject: str, tell: Callable[[Request], None]) -> None:
        async def heard(message: Msg) -> None:
            try:
                tell(request_of(message))
            except Exception as error:
                log.error("listener-failed", subject=subject, exc_info=error)

        async def setup(client: Client) -> None:
            await client.subscribe(subject, cb=heard)

        await self._add(setup)

    def on_client(self, setup: Setup) -> None:
        """`setup` is called with each new client, before it is told that it is connected."""
        self._setups.append(setup)

    async def _add(self, setup: Setup) -> None:
        self._setups.append(setup)
        if self._client is not None and not self._client.is_closed:
            await setup(self._client)

    async def run(self) -> None:
        """Connects, and connects again with a new client whenever one is closed for good."""
        while not self._leaving:
            self._client = await self._connect()
            for setup in self._setups:
                await setup(self._client)
            self._connected()
            await self._closed.wait()
            if not self._leaving:
                log.warning("bus-closed", reason="a new client takes over")

    async def _connect(self) -> Client:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_CONNECT_FAILURES),
            wait=CONNECT,
            before_sleep=self._tell_unreachable,
        ):
            with attempt:
                client = await self._try_once()
                _bound_silence(client)
                log.info("bus-connected", server=_location(client))
                return client
        raise AssertionError("retries never end")

    async def _try_once(self) -> Client:
        """Each server a few times, with the files as they are now.

        Left to itself nats-py's first connect goes on for ever, five times a second, with
        what it was given: that it may reconnect is said once it has been connected.
        """
        self._closed.clear()
        client = Client()
        arguments = self._options.connect_arguments()
        bounds = {"allow_reconnect": False, "max_reconnect_attempts": 1}
        try:
            await client.connect(
                **(arguments | bounds),
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
                reconnect_to_server_handler=_spread,
            )
        except BaseException:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 1.0)
            raise
        client.options.update({key: arguments.get(key, True) for key in bounds})
        return client

    def _connected(self) -> None:
        for tell in self._tell_connected:
            tell()

    async def _on_error(self, error: Exception) -> None:
        """A server that is away is told once (`bus-disconnected`), not at every try."""
        self._last_error = error
        say = log.debug if isinstance(error, OSError) else log.warning
        say("bus-error", error=repr(error))

    def _tell_unreachable(self, state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        log.warning("bus-unreachable", error=repr(error), cause=repr(self._last_error))

    async def _on_disconnected(self) -> None:
        if not self._leaving:
            log.warning("bus-disconnected")

    async def _on_reconnected(self) -> None:
        self.reconnects += 1
        with contextlib.suppress(Exception):
            if self._client is not None:
                _bound_silence(self._client)
            self._connected()
        log.info("bus-reconnected", reconnects=self.reconnects)

    async def _on_closed(self) -> None:
        self._closed.set()

    async def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        message_id: str | None = None,
        expected: int | None = None,
        expected_subject: str | None = None,
        timeout_s: float = 5.0,
    ) -> int:
        client = self._client
        if client is None or not client.is_connected:
            raise Offline("not connected")
        # nats-py writes into the headers that it is given: always a fresh dict.
        all_headers = dict(headers or {})
        if message_id is not None:
            all_headers[Header.MSG_ID] = message_id
        if expected is not None:
            all_headers[Header.EXPECTED_LAST_SUBJECT_SEQUENCE] = str(expected)
        if expected_subject is not None:
            all_headers["Nats-Expected-Last-Subject-Sequence-Subject"] = expected_subject
        try:
            ack = await client.jetstream().publish(
                subject, payload, timeout=timeout_s, headers=all_headers
            )
        except (NoStreamResponseError, NoRespondersError) as error:
            raise NoStream(f"no stream takes {subject}: run `wharfside bootstrap`") from error
        except APIError as error:
            raise _refused(error) from error
        except (TimeoutError, NatsTimeout, NatsError, OSError) as error:
            raise Undecided(repr(error)) from error
        return ack.seq

    async def withdraw(self, grace_s: float) -> None:
        """Takes no more requests; lets those under way end, at most `grace_s`."""
        await self._service.stop(grace_s)

    async def close(self, timeout_s: float = 2.0) -> None:
        """Lets go of the connection; what waits to be written is flushed, bounded."""
        self._leaving = True
        client = self._client
        if client is None or client.is_closed:
            return
        with contextlib.suppress(Exception):
            await asyncio.wait_for(client.flush(timeout=max(1, int(timeout_s))), timeout_s)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(client.close(), timeout_s)


def _location(client: Client) -> str:
    """Host and port, never the credentials that a URL may carry."""
    url = client.connected_url
    return "" if url is None else url.netloc.rpartition("@")[2]


def request_of(message: Msg) -> Request:
    return Request(message.subject, message.data, message.headers or {})


def _refused(error: APIError) -> Exception:
    """`wrong last sequence: 17`: the server tells the actual one only in its words."""
    if error.err_code == WRONG_LAST_SEQUENCE:
        digits = (error.description or "").rpartition(":")[2].strip()
        if digits.isdigit():
            return WrongSequence(int(digits))
    return Undecided(f"{error.err_code} {error.description}")


def _spread(servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
    """nats-py's reconnect handler: must never raise, must never say 0 seconds."""
    return random.choice(servers), reconnect_delay()


def _bound_silence(client: Client) -> None:
    transport = getattr(client, "_transport", None)
    io_writer = getattr(transport, "_io_writer", None)
    sock = io_writer.get_extra_info("socket") if io_writer is not None else None
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
