"""One connection to NATS, from its opening to its end.

nats-py's callbacks must never raise (its read loop and its reconnecting die of
it in silence), and some errors of the server end a client for good: `bus.py`
opens a new connection then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from nats.aio.client import Server
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from wharfside_client.errors import BadSettings, ClientError, ServerUnreachable
from wharfside_client.failures import Failures, words_of
from wharfside_client.messages import Message, Sink
from wharfside_client.natsclient import NatsClient
from wharfside_client.settings import ServerSettings
from wharfside_protocol.errors import Invalid

PING_INTERVAL_S = 10
CLOSE_S = 3.0
RECONNECT_S = (0.2, 2.0)
"""Between so many seconds, at random, before each try: a fleet's clients spread out."""

Unsubscribe = Callable[[], Awaitable[None]]

_VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.I)

_log = logging.getLogger("wharfside.client")


class Ears(Protocol):
    """What a connection tells its owner; called on the loop, must be quick and not raise."""

    def connected(self) -> None: ...
    def disconnected(self) -> None: ...
    def ended(self) -> None: ...
    def denied(self, what: str, subject: str) -> None: ...


class Connection:
    """A nats-py client with its callbacks, its errors translated."""

    def __init__(self, settings: ServerSettings, ears: Ears) -> None:
        self._settings = settings
        self._ears = ears
        self._nc = NatsClient()
        self._opened = False
        self._failures = Failures(settings)
        self._hopeless = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        return self._opened and self._nc.is_connected

    @property
    def is_clustered(self) -> bool:
        """The server is one of several: what does not listen now may be about to be elected."""
        return self._nc.is_clustered

    async def open(self) -> None:
        """Connects, trying every server once, within the settings' time.

        Raises:
            BadSettings, Invalid: the settings cannot be used.
            Refused: a server answers, and does not let us in.
            Untrusted: a server answers that does not prove to be ours.
            ServerUnreachable: none answers.
        """
        self._settings.check()
        options = self._options()
        connecting = asyncio.create_task(self._nc.connect(**options))
        giving_up = asyncio.create_task(self._hopeless.wait())
        try:
            timeout_s = self._settings.connect_timeout_s
            await asyncio.wait(
                {connecting, giving_up}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not (connecting.done() and self._nc.is_connected):
                raise self._why(connecting)
        except BaseException:
            await _end(connecting)
            await self.close()
            raise
        finally:
            await _end(giving_up)
        self._opened = True
        self._nc.limit_unacked()

    async def close(self) -> None:
        self._opened = False
        # nats-py asserts where it has refused its options, such as a URL that is none; and it waits
        # without end for a connection whose TLS handshake has failed
        with contextlib.suppress(NatsError, OSError, AssertionError, TimeoutError):
            await asyncio.wait_for(self._nc.close(), CLOSE_S)
        self._nc.drop_socket()

    async def publish(
        self, subject: str, data: bytes, reply: str, headers: Mapping[str, str] | None
    ) -> None:
        """
        Raises:
            ServerUnreachable: not connected.
            Invalid: the subject is none, or the data is more than the server takes.
        """
        if not self.is_connected:
            raise self.unreachable()
        try:
            # the dict is a copy: nats-py may write into it
            await self._nc.publish(subject, data, reply, dict(headers) if headers else None)
        except MaxPayloadError as error:
            raise Invalid(f"{len(data)} bytes are more than the server takes") from error
        except (NatsError, OSError) as error:
            raise self.unreachable(error) from error

    async def subscribe(self, subject: str, sink: Sink) -> Unsubscribe:
        """
        Raises:
            ServerUnreachable: not connected.
        """

        def take(message: Message) -> None:
            try:
                sink(message)
            except Exception:
                _log.exception("a message on %s was not taken", message.subject)

        async def receive(msg: Msg) -> None:
            take(Message(msg.subject, msg.data, msg.headers or {}))

        self._nc.sinks[receive] = take
        try:
            subscription = await self._nc.subscribe(subject, cb=receive)
        except (NatsError, OSError) as error:
            del self._nc.sinks[receive]
            raise self.unreachable(error) from error

        async def unsubscribe() -> None:
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()
            self._nc.sinks.pop(receive, None)

        return unsubscribe

    def unreachable(self, error: BaseException | None = None) -> ServerUnreachable:
        """The error that says what to check, with the last cause that is known."""
        return self._failures.unreachable(error)

    def _why(self, connecting: asyncio.Task[None]) -> ClientError:
        if connecting.done() and not connecting.cancelled():
            error = connecting.exception()
            if isinstance(error, Exception):
                self._failures.seen.append(error)
        return self._failures.not_opened()

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "servers": list(settings.servers),
            "name": settings.name,
            "inbox_prefix": settings.inbox_prefix,
            "user_credentials": settings.creds,
            "nkeys_seed": settings.nkey,
            "user": settings.user,
            "password": settings.password,
            "token": settings.token,
            "tls": settings.tls(),
            "tls_handshake_first": settings.tls_first,
            "ping_interval": PING_INTERVAL_S,
            "max_reconnect_attempts": -1,
            "connect_timeout": settings.connect_timeout_s,
            "reconnect_to_server_handler": self._next_server,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
            "closed_cb": self._on_closed,
        }

    async def _on_error(self, error: Exception) -> None:
        violation = _VIOLATION.search(str(error))
        if violation is not None:
            self._ears.denied(violation[1].lower(), violation[2])
        elif not self._opened:
            self._failures.seen.append(error)
            if len(self._failures.seen) >= len(self._settings.servers):
                self._hopeless.set()
        else:
            self._failures.seen[:] = [error]
            if self._failures.refusal(error) is not None:
                self._nc.drop_socket()
            _log.debug("nats: %s", words_of(error))

    async def _on_disconnected(self) -> None:
        if self._opened:
            self._ears.disconnected()

    async def _on_reconnected(self) -> None:
        self._nc.limit_unacked()
        self._ears.connected()

    async def _on_closed(self) -> None:
        if self._opened:
            self._ears.ended()

    def _next_server(self, servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
        """nats-py reads credentials anew by itself, but never certificates: here they are."""
        try:
            if (context := self._settings.tls()) is not None:
                self._nc.options["tls"] = context
        except BadSettings as error:
            _log.warning("the TLS files of before stay in use: %s", error.message)
        return random.choice(servers), random.uniform(*RECONNECT_S)


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
