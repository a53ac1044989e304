"""A small HTTP listener on the agent's own loop: GET, one answer, closed; bounded in every way.

By hand, since the standard library has none for asyncio, and a framework and its server would
be larger than the agent needs for three pages. That it runs on the loop is wanted: `/healthz`
answers because the loop turns, and a prober's time-out says that it does not.
"""

from __future__ import annotations

import asyncio
import json
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog

from wharfside_agent.errors import SettingsError, StartError

log = structlog.get_logger(__name__)

MAX_HEAD = 8 * 1024
MAX_OPEN = 16
"""Connections at once: Prometheus has one, a prober one, and some stand for people. One more takes
the place of the oldest that has not asked yet; where all are being answered it is turned away."""

ANSWER_S = 10.0
"""From the connection to the last byte taken: Prometheus itself waits 10 s by default."""

BACKLOG = 16


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    content_type: str
    body: bytes


Route = Callable[[str], Awaitable[Answer]]
"""From the request's Accept header to the answer."""


def as_json(status: HTTPStatus, facts: Mapping[str, Any]) -> Answer:
    return Answer(status, "application/json", json.dumps(facts).encode() + b"\n")


def bound_socket(listen: str) -> socket.socket:
    """A socket that listens on `host:port` or `[host]:port`; port 0 takes a free one.

    Raises:
        SettingsError: it is no such address.
        StartError: it cannot be listened on; nothing was changed.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"metrics.listen: {listen!r} is no address such as 127.0.0.1:9464")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as error:
        raise StartError(
            f"metrics.listen: {listen} cannot be listened on ({error.strerror or error}): "
            "choose another port, or leave it out"
        ) from error


class Listener:
    """Serves `routes`, by path, on a socket that listens already."""

    def __init__(self, routes: Mapping[str, Route], *, answer_s: float = ANSWER_S) -> None:
        self._routes = routes
        self._answer_s = answer_s
        self._open: set[StreamWriter] = set()
        self._silent: dict[StreamWriter, None] = {}  # the oldest first
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        self._server = await asyncio.start_server(self._serve, sock=sock, limit=MAX_HEAD)
        host, port = sock.getsockname()[:2]
        log.info("metrics-listening", host=host, port=port, pages=sorted(self._routes))

    def close(self) -> None:
        """Takes no more, and cuts off who is being answered."""
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        if not self._has_room():
            writer.transport.abort()
            return
        self._open.add(writer)
        self._silent[writer] = None
        try:
            async with asyncio.timeout(self._answer_s):
                method, answer = await self._answer(reader, lambda: self._silent.pop(writer, None))
                writer.write(_encoded(answer, with_body=method != "HEAD"))
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, EOFError):
            pass
        finally:
            writer.transport.abort()
            self._silent.pop(writer, None)
            self._open.discard(writer)

    def _has_room(self) -> bool:
        """For one more, at the cost of one that only holds its place."""
        if len(self._open) < MAX_OPEN:
            return True
        if not self._silent:
            return False
        oldest = next(iter(self._silent))
        del self._silent[oldest]
        self._open.discard(oldest)
        oldest.transport.abort()
        return True

    async def _answer(
        self, reader: StreamReader, asked: Callable[[], object]
    ) -> tuple[str, Answer]:
        """The method and what is answered; `asked` is called once the request is here.

        Raises:
            EOFError: the peer left before its request was whole.
        """
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            asked()
            method, path, accept = _parsed(head.decode("latin-1"))
        except asyncio.LimitOverrunError:
            return "", _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except ValueError:
            return "", _plain(HTTPStatus.BAD_REQUEST)
        if method not in ("GET", "HEAD"):
            return method, _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        if (route := self._routes.get(path)) is None:
            return method, _plain(HTTPStatus.NOT_FOUND, f"pages: {' '.join(sorted(self._routes))}")
        try:
            return method, await route(accept)
        except Exception as error:
            log.error("page-failed", path=path, exc_info=error)
            return method, _plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def _parsed(head: str) -> tuple[str, str, str]:
    """Method, path and Accept of a request's head.

    Raises:
        ValueError: it is none (RFC 9112).
    """
    request, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, version = request.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    fields = dict(line.lower().split(":", 1) for line in lines)
    return method, target.partition("?")[0], fields.get("accept", "").strip()


def _plain(status: HTTPStatus, more: str = "") -> Answer:
    text = f"{status.value} {status.phrase}{': ' if more else ''}{more}\n"
    return Answer(status, "text/plain; charset=utf-8", text.encode())


def _encoded(answer: Answer, *, with_body: bool) -> bytes:
    status = answer.status
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
    ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head + answer.body if with_body else head
