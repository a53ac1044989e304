"""Reading streams by direct get, page by page (ADR-31).

Readers make no consumers: that right would be an escalation. A page is asked
for with `batch` and `next_by_subj` and ends with the server's own message.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import msgspec
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from wharfside_client.bus import Bus
from wharfside_client.errors import ApiError, NoResponders, NotSetUp
from wharfside_client.messages import END_OF_BATCH, NOT_FOUND, Message

PAGE = 1000
PAGE_BYTES = 8 * 1024 * 1024
"""The server ends a page at whichever of the two comes first."""
PAGE_TIMEOUT_S = 10.0
SPREAD_S = 3.0
"""A server of a cluster that has just begun takes clients before it knows of all streams."""
_GET = "$JS.API.DIRECT.GET"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a stream has it. `time` is the server's, RFC 3339."""

    seq: int
    subject: str
    time: str
    headers: dict[str, str]
    data: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """`pending`: how many more match after this page."""

    messages: list[Stored]
    pending: int


def stored(message: Message) -> Stored:
    """What a direct get or a republish brought.

    Raises:
        ApiError: the headers are not those of a stored message.
    """
    headers = dict(message.headers)
    try:
        return Stored(
            seq=int(headers["Nats-Sequence"]),
            subject=headers["Nats-Subject"],
            time=headers["Nats-Time-Stamp"],
            headers=headers,
            data=message.data,
        )
    except (KeyError, ValueError) as error:
        raise ApiError(
            f"a message without {error} where a stored one was expected", status=500, err_code=0
        ) from error


def to_page(answer: Sequence[Message]) -> Page:
    """The messages of one answer with the server's closing word.

    Raises:
        ApiError: the server refuses the request, or the answer has no end.
    """
    *messages, last = answer
    if last.status == NOT_FOUND:
        return Page([], 0)
    if last.status != END_OF_BATCH:
        words = last.headers.get("Description", "an answer without its end")
        raise ApiError(f"direct get: {words}", status=int(last.status or 500), err_code=0)
    return Page([stored(m) for m in messages], int(last.headers.get("Nats-Num-Pending", 0)))


async def read_page(
    bus: Bus, stream: str, subject: str, start: int | str, batch: int = PAGE
) -> Page:
    """The messages of `stream` that match `subject`, from a sequence or a time (RFC 3339) on.

    Raises:
        NotSetUp: there is no such stream, or it allows no direct get.
        ApiError: the server refuses.
        Unanswered, ServerUnreachable, Denied: see `Bus.request`.
    """
    begin = {"seq": max(start, 1)} if isinstance(start, int) else {"start_time": start}
    body = {"batch": batch, "max_bytes": PAGE_BYTES, "next_by_subj": subject, **begin}
    return to_page(await _ask(bus, stream, body, many=True))


async def read_pages(
    bus: Bus, stream: str, subject: str, start: int = 1
) -> AsyncIterator[list[Stored]]:
    """Page after page, up to what is the end when it gets there.

    Raises:
        See `read_page`.
    """
    pending = 1
    while pending:
        page = await read_page(bus, stream, subject, start)
        if page.messages:
            yield page.messages
            start = page.messages[-1].seq + 1
        pending = page.pending if page.messages else 0


async def read_last(bus: Bus, stream: str, subject: str) -> Stored | None:
    """The newest message that matches `subject`; None where there is none.

    Raises:
        See `read_page`.
    """
    (message,) = await _ask(bus, stream, {"last_by_subj": subject}, many=False)
    if message.status == NOT_FOUND:
        return None
    return stored(message)


async def read_last_of(bus: Bus, stream: str, subject: str) -> Stored | None:
    """As `read_last`, of one plain subject: a right that is given subject by subject.

    Raises:
        See `read_page`.
    """
    ask = partial(bus.request, f"{_GET}.{stream}.{subject}", b"", PAGE_TIMEOUT_S)
    message = await _answered(bus, stream, ask)
    return None if message.status == NOT_FOUND else stored(message)


async def _ask(bus: Bus, stream: str, body: dict[str, Any], *, many: bool) -> list[Message]:
    asked = f"{_GET}.{stream}", msgspec.json.encode(body), PAGE_TIMEOUT_S
    if many:
        return await _answered(bus, stream, partial(bus.collect, *asked))
    return [await _answered(bus, stream, partial(bus.request, *asked))]


async def _answered(bus: Bus, stream: str, ask: Callable[[], Awaitable[T]]) -> T:
    """Asked again for SPREAD_S where the server is one of several.

    Raises:
        NotSetUp: nobody answers for the stream.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(NoResponders),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(SPREAD_S if bus.clustered else 0),
        reraise=True,
    )
    try:
        return await retrying(ask)
    except NoResponders as error:
        raise NotSetUp(
            f"stream {stream} cannot be read: it is not there, or not for this user; "
            "`wharfside bootstrap` makes it",
            stream=stream,
        ) from error
