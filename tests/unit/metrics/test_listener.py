"""The pages over real sockets: what is asked well, badly, slowly, and too often."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from wharfside_agent.errors import SettingsError, StartError
from wharfside_agent.metrics.listener import (
    MAX_HEAD,
    MAX_OPEN,
    Answer,
    Listener,
    Route,
    as_json,
    bound_socket,
)


async def page(accept: str) -> Answer:
    return as_json(HTTPStatus.OK, {"accept": accept})


async def broken(_accept: str) -> Answer:
    raise RuntimeError("nobody foresaw this")


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Up to the end of the connection, however it ends."""
    try:
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionResetError:
        return b""


class Pages:
    """A listener on a free port, and what comes back for bytes sent to it."""

    def __init__(self, listener: Listener, port: int) -> None:
        self.listener = listener
        self.port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, request: bytes) -> bytes:
        """All of the answer; the listener closes."""
        reader, writer = await self.connect()
        writer.write(request)
        try:
            return await all_of(reader)
        finally:
            writer.close()

    async def get(self, path: str, *fields: str, method: str = "GET") -> tuple[int, str]:
        """Status and body."""
        lines = [f"{method} {path} HTTP/1.1", "Host: here", *fields, "", ""]
        answer = await self.ask("\r\n".join(lines).encode())
        head, _, body = answer.decode().partition("\r\n\r\n")
        return int(head.split(" ")[1]), body


async def open_pages(answer_s: float = 60.0, **more: Route) -> Pages:
    routes = {"page": page, "broken": broken, **more}
    listener = Listener({f"/{name}": each for name, each in routes.items()}, answer_s=answer_s)
    sock = bound_socket("127.0.0.1:0")
    await listener.start(sock)
    return Pages(listener, sock.getsockname()[1])


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    made = await open_pages()
    yield made
    made.listener.close()


async def test_a_page_is_answered(pages: Pages) -> None:
    status, body = await pages.get("/page?refresh=1", "Accept: text/plain")
    assert (status, json.loads(body)) == (200, {"accept": "text/plain"})


async def test_head_is_answered_without_a_body(pages: Pages) -> None:
    assert await pages.get("/page", method="HEAD") == (200, "")


async def test_another_path_is_told_the_pages(pages: Pages) -> None:
    status, body = await pages.get("/metric")
    assert (status, body) == (404, "404 Not Found: pages: /broken /page\n")


async def test_nothing_can_be_changed_here(pages: Pages) -> None:
    answer = await pages.ask(b"POST /page HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ") and b"Allow: GET, HEAD\r\n" in answer


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET /page\r\n\r\n",
        b"GET /page HTTP/2\r\n\r\n",
        b"GET /page HTTP/1.1\r\nno colon here\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused(pages: Pages, request_: bytes) -> None:
    assert (await pages.ask(request_)).startswith(b"HTTP/1.1 400 ")
    assert (await pages.get("/page"))[0] == 200


async def test_a_head_without_end_is_refused(pages: Pages) -> None:
    answer = await pages.ask(b"GET /page HTTP/1.1\r\nX: " + b"x" * 2 * MAX_HEAD)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_page_that_fails_is_an_error_and_no_more(pages: Pages) -> None:
    assert (await pages.get("/broken"))[0] == 500
    assert (await pages.get("/page"))[0] == 200


async def test_one_who_never_asks_is_let_go() -> None:
    pages = await open_pages(answer_s=0.05)
    assert await pages.ask(b"GET /page HTT") == b""
    pages.listener.close()


async def test_those_who_never_ask_give_way_the_oldest_first(pages: Pages) -> None:
    silent = [await pages.connect() for _ in range(MAX_OPEN)]
    assert (await pages.get("/page"))[0] == 200
    assert await all_of(silent[0][0]) == b"", "the oldest has gone"
    for reader, writer in silent[1:]:
        writer.write(b"GET /page HTTP/1.1\r\n\r\n")
        assert (await all_of(reader)).startswith(b"HTTP/1.1 200 ")
    for _, writer in silent:
        writer.close()


async def test_too_many_at_once_are_turned_away_and_room_comes_back() -> None:
    go = asyncio.Event()
    waiting = asyncio.Semaphore(0)

    async def slow(_accept: str) -> Answer:
        waiting.release()
        await go.wait()
        return as_json(HTTPStatus.OK, {})

    pages = await open_pages(slow=slow)
    asking = [asyncio.create_task(pages.get("/slow")) for _ in range(MAX_OPEN)]
    for _ in asking:
        await asyncio.wait_for(waiting.acquire(), 20)
    assert await pages.ask(b"GET /page HTTP/1.1\r\n\r\n") == b""
    go.set()
    assert [status for status, _ in await asyncio.gather(*asking)] == [200] * MAX_OPEN
    assert (await pages.get("/page"))[0] == 200
    pages.listener.close()


async def test_closing_cuts_off_who_is_connected(pages: Pages) -> None:
    reader, writer = await pages.connect()
    writer.write(b"GET /page HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    pages.listener.close()
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await pages.connect()


@pytest.mark.parametrize("listen", ["9464", ":9464", "127.0.0.1", "127.0.0.1:x", "h:70000"])
def test_what_is_no_address_is_named(listen: str) -> None:
    with pytest.raises(SettingsError, match=r"metrics.listen: .* 127.0.0.1:9464"):
        bound_socket(listen)


def test_a_port_that_is_taken_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match=f"{listen} cannot be .* another port"):
            bound_socket(listen)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_ipv6_is_written_in_brackets() -> None:
    with bound_socket("[::1]:0") as sock:
        assert sock.family is socket.AF_INET6
