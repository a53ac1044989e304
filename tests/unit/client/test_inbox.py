"""Replies matched by their token, told at once when they cannot come."""

from __future__ import annotations

import asyncio

import pytest

from wharfside_client.errors import ServerUnreachable
from wharfside_client.inbox import MAX_MESSAGES, Inbox
from wharfside_client.messages import Message
from wharfside_protocol.errors import Denied


def message(subject: str, data: bytes = b"", **headers: str) -> Message:
    return Message(subject, data, headers)


async def test_each_reply_gets_its_own_answer() -> None:
    inbox = Inbox("_INBOX.me")
    with inbox.expect("a") as first, inbox.expect("b") as second:
        inbox.deliver(message(second.subject, b"2"))
        inbox.deliver(message(first.subject, b"1"))
        assert [m.data for m in await first.messages(1)] == [b"1"]
        assert [m.data for m in await second.messages(1)] == [b"2"]
    assert inbox.waiting == {}


async def test_a_page_is_complete_with_its_status_message() -> None:
    inbox = Inbox("_INBOX.me")
    with inbox.expect("page", many=True) as reply:
        inbox.deliver(message(reply.subject, b"1"))
        inbox.deliver(message(reply.subject, b"2"))
        with pytest.raises(TimeoutError):
            await reply.messages(0.01)
    with inbox.expect("page", many=True) as reply:
        inbox.deliver(message(reply.subject, b"1"))
        inbox.deliver(message(reply.subject, Status="204"))
        assert len(await reply.messages(1)) == 2


async def test_an_answer_without_end_takes_bounded_memory() -> None:
    inbox = Inbox("_INBOX.me")
    with inbox.expect("page", many=True) as reply:
        for _ in range(MAX_MESSAGES + 100):
            inbox.deliver(message(reply.subject))
        reply.feed(message(reply.subject, Status="204"))
        assert len(await reply.messages(1)) == MAX_MESSAGES


async def test_a_lost_connection_and_a_denied_publish_end_the_waiting() -> None:
    inbox = Inbox("_INBOX.me")
    with inbox.expect("wharfside.v1.rpc.N1.ping") as denied, inbox.expect("b") as cut:
        inbox.deny("publish", "wharfside.v1.rpc.n1.ping")
        with pytest.raises(Denied) as caught:
            await denied.messages(1)
        assert caught.value.details["subject"] == "wharfside.v1.rpc.N1.ping"
        inbox.cut("gone")
        with pytest.raises(ServerUnreachable):
            await cut.messages(1)


async def test_a_denied_inbox_says_how_to_name_oneself() -> None:
    inbox = Inbox("_INBOX.me")
    with inbox.expect("a") as reply:
        inbox.deny("subscription", "some.other.subject")
        inbox.deny("subscription", f"{inbox.prefix}.*")
        with pytest.raises(Denied, match="--peer"):
            await reply.messages(1)
    with inbox.expect("b") as later, pytest.raises(Denied, match="--peer"):
        await later.messages(1)


async def test_each_waits_for_its_own_time_whoever_waits_longer() -> None:
    inbox = Inbox("_INBOX.me")
    with inbox.expect("patient") as patient:
        waiting = asyncio.ensure_future(patient.messages(3600))
        for _ in range(2):
            with inbox.expect("hasty") as hasty, pytest.raises(TimeoutError):
                await hasty.messages(0.01)
        assert not waiting.done()
        inbox.deliver(message(patient.subject, b"1"))
        assert [m.data for m in await waiting] == [b"1"]


async def test_answers_that_come_too_late_are_dropped() -> None:
    inbox = Inbox("_INBOX.me")
    with inbox.expect("a") as reply:
        subject = reply.subject
    inbox.deliver(message(subject, b"late"))
    assert inbox.waiting == {}
