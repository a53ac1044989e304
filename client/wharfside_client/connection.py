"""One connection to NATS, from its opening to its end: the client's only importer of nats.

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
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from nats.aio.client import Client as Nats
from nats.aio.client import Server, Srv
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from wharfside_client.errors import (
    BadSettings,
    ClientError,
    Refused,
    ServerUnreachable,
    Untrusted,
)
from wharfside_client.messages import Message
from wharfside_client.parser import BlockParser
from wharfside_client.settings import ServerSettings
from wharfside_client.transport import BlockTransport
from wharfside_protocol.errors import Invalid
from wharfside_protocol.refusals import NO_TLS, Part, refusal

PING_INTERVAL_S = 10
UNACKED_MS = 15_000
"""Bytes unacknowledged for so long end a connection: a half-open one shows no other way."""
CLOSE_S = 3.0
RECONNECT_S = (0.2, 2.0)
"""Between so many seconds, at random, before each try: a fleet's clients spread out."""

Sink = Callable[[Message], None]
Unsubscribe = Callable[[], Awaitable[None]]

_VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.I)
_HUNG_UP = re.compile(r"unexpected EOF|after close notify|connection reset|broken pipe", re.I)
_SSL = re.compile(r"^\[SSL: \w+\] | \(_ssl\.c:\d+\)$")
"""OpenSSL's own names and places, around its words."""

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
        self._nc = _Nats()
        self._opened = False
        self._failures: list[Exception] = []
        self._hopeless = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        return self._opened and self._nc.is_connected

    @property
    def is_clustered(self) -> bool:
        """The server is one of several: what does not listen now may be about to be elected."""
        return bool(self._nc._server_info.get("cluster"))

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
        self._limit_unacked()

    async def close(self) -> None:
        self._opened = False
        # nats-py asserts where it has refused its options, such as a URL that is none; and it waits
        # without end for a connection whose TLS handshake has failed
        with contextlib.suppress(NatsError, OSError, AssertionError, TimeoutError):
            await asyncio.wait_for(self._nc.close(), CLOSE_S)
        self._drop_socket()

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
        cause = error or (self._failures[-1] if self._failures else None)
        if isinstance(cause, Exception) and (known := self._refusal(cause)) is not None:
            return ServerUnreachable(known.message, servers=list(self._settings.servers))
        servers = ", ".join(self._settings.servers)
        because = f" ({_words(cause)})" if cause is not None else ""
        return ServerUnreachable(
            f"no NATS server at {servers}{because}; check that it runs and is reachable from "
            "here, and --server, NATS_URL or the NATS context",
            servers=list(self._settings.servers),
        )

    def _why(self, connecting: asyncio.Task[None]) -> ClientError:
        if connecting.done() and not connecting.cancelled():
            error = connecting.exception()
            if isinstance(error, Exception):
                self._failures.append(error)
        refusals = filter(None, map(self._refusal, self._failures))
        return next(refusals, None) or self._hung_up() or self.unreachable()

    def _hung_up(self) -> ClientError | None:
        """A server that refuses us says why and hangs up; its last word may be lost with that."""
        words = next((w for e in self._failures if _HUNG_UP.search(w := _words(e))), None)
        if words is None:
            return None
        expired = self._settings.expired()
        if expired is not None:
            return Refused(f"the NATS server does not let us in ({words}); {expired}")
        return ServerUnreachable(
            f"the NATS server hung up ({words}): it does not let us in, or goes down; "
            "try again, and check --creds, --nkey, --tlscert, user and password, or the NATS "
            "context",
            servers=list(self._settings.servers),
        )

    def _refusal(self, failure: Exception) -> ClientError | None:
        words = _words(failure)
        found = refusal(words)
        if found is None:
            return None
        if found.refused is Part.SERVER:
            return Untrusted(f"the NATS server is not trusted ({words}); {found.advice}")
        advice = self._settings.expired() or found.advice
        return Refused(f"the NATS server does not let us in ({words}); {advice}")

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
            self._failures.append(error)
            if len(self._failures) >= len(self._settings.servers):
                self._hopeless.set()
        else:
            self._failures[:] = [error]
            if self._refusal(error) is not None:
                self._drop_socket()
            _log.debug("nats: %s", _words(error))

    async def _on_disconnected(self) -> None:
        if self._opened:
            self._ears.disconnected()

    async def _on_reconnected(self) -> None:
        self._limit_unacked()
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

    def _limit_unacked(self) -> None:
        # nats-py waits without end for a half-open connection's bytes; only the socket can tell
        writer = self._writer()
        sock = writer.get_extra_info("socket") if writer is not None else None
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_MS)

    def _drop_socket(self) -> None:
        """nats-py forgets the socket of a connection that was refused, and leaves it open."""
        if (writer := self._writer()) is not None:
            writer.transport.abort()

    def _writer(self) -> asyncio.StreamWriter | None:
        return getattr(getattr(self._nc, "_transport", None), "_io_writer", None)


def _is_news(record: logging.LogRecord) -> bool:
    """asyncio warns at the end of every connection that nats-py made TLS: it means nothing."""
    return "eof_received() has no effect" not in record.msg


logging.getLogger("asyncio").addFilter(_is_news)


class _Nats(Nats):
    """nats-py goes on in the clear, CA and `tls://` or not, where the greeting asks for no TLS:
    whoever stands between could have cut that out. It reads in small pieces (`transport.py`) and
    copies large ones thrice (`parser.py`). And it puts a queue and a task before each callback,
    which our own, being quick, are better without: a twentieth of a round trip.

    Attributes:
        sinks: by the callback of a subscription, what takes its messages at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sinks: dict[Callable[[Msg], Awaitable[None]] | None, Sink] = {}
        self._ps = BlockParser(self)

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        subscription = self._subs.get(sid)
        sink = None if subscription is None else self.sinks.get(subscription._cb)
        if sink is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            found = await self._process_headers(headers) if headers else None
            sink(Message(subject.decode(), data, found or {}))

    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport is None and s.uri.scheme in ("nats", "tls"):
            self._transport = BlockTransport()
        await super()._connect_to_server(s)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        wanted = "tls" in self.options or (server is not None and server.uri.scheme == "tls")
        if initial_connection and wanted and not info.get("tls_required"):
            raise NatsError(NO_TLS)
        await super()._process_info(info, initial_connection)


def _words(error: BaseException) -> str:
    return _SSL.sub("", str(error)).removeprefix("nats: ").strip("'\"") or type(error).__name__


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
