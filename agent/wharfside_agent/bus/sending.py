"""What goes out on a link that stands, and what became of it: nats-py's errors are ports.bus's."""

from __future__ import annotations

import asyncio

import structlog
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import Header, PubAck
from nats.js.errors import APIError, NoStreamResponseError

from wharfside_agent.bus import inside
from wharfside_agent.bus.link import Link
from wharfside_agent.ports.bus import NoStream, Undecided, WrongSequence
from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_writing import Parts

log = structlog.get_logger(__name__)

WRONG_LAST_SEQUENCE = 10071


def conditions(
    message_id: str | None, expected: int | None, expected_subject: str | None
) -> dict[str, str]:
    """The headers by which the stream knows a message that it has, and where it must stand."""
    headers = {}
    if message_id is not None:
        headers[Header.MSG_ID.value] = message_id
    if expected is not None:
        headers[Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value] = str(expected)
    if expected_subject is not None:
        headers["Nats-Expected-Last-Subject-Sequence-Subject"] = expected_subject
    return headers


async def publish(
    link: Link, subject: str, payload: bytes, headers: dict[str, str], timeout_s: float
) -> PubAck:
    """nats-py writes into `headers`: always a fresh dict.

    Raises:
        NoStream, WrongSequence, Undecided: see ports.bus.Bus.publish.
    """
    link.note_asked()
    try:
        ack = await link.jetstream.publish(subject, payload, timeout=timeout_s, headers=headers)
    except (NoStreamResponseError, NoRespondersError) as error:
        link.note_answered()
        raise NoStream(f"no stream takes {subject}: run `wharfside bootstrap`") from error
    except APIError as error:
        link.note_answered()
        raise _refused(error) from error
    except (TimeoutError, NatsTimeout, NatsError, OSError) as error:
        raise Undecided(repr(error)) from error
    link.note_answered()
    return ack


async def tell(link: Link, subject: str, payload: bytes | Parts) -> None:
    """
    Raises:
        Invalid: the server takes no message so large.
    """
    try:
        await link.client.publish(subject, payload)  # type: ignore[arg-type]  # see StrictClient
    except MaxPayloadError as error:
        most = "raise its max_payload to 1 MiB"
        raise Invalid(f"{len(payload)} bytes are too much for the server: {most}") from error
    except (NatsError, OSError) as error:
        log.debug("not-told", subject=subject, error=repr(error))


async def round_trip(link: Link, timeout_s: float) -> None:
    """
    Raises:
        Undecided: no server answered within `timeout_s`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await inside.round_trip(link.client)
    except TimeoutError as error:
        raise Undecided(f"no server answered within {timeout_s} s") from error
    except (NatsError, OSError) as error:
        raise Undecided(repr(error)) from error


def _refused(error: APIError) -> Exception:
    """`wrong last sequence: 17`: the server tells the actual one only in its words."""
    if error.err_code == WRONG_LAST_SEQUENCE:
        digits = (error.description or "").rpartition(":")[2].strip()
        if digits.isdigit():
            return WrongSequence(int(digits))
    return Undecided(f"{error.err_code} {error.description}")
