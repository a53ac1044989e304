"""Replies: one subscription for all of a connection's requests, matched by a token.

The client has its own instead of nats-py's, because a request that the server
denies shows there only as a timeout, one that was cut off by a lost connection
too, and answers of many messages (pages) are unknown to it.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
from types import TracebackType

from wharfside_client.errors import ServerUnreachable
from wharfside_client.messages import Message
from wharfside_protocol.errors import Denied, WharfsideError

MAX_MESSAGES = 4096
"""More messages than any page has: what comes beyond in one answer is dropped."""


class Reply:
    """What comes back to one request; a context, outside of which nothing is kept.

    One message ends it, or, of a page (`many`), the server's status message.
    """

    __slots__ = ("_done", "_inbox", "_many", "_messages", "_token", "asked", "due", "subject")

    def __init__(self, inbox: Inbox, asked: str, many: bool) -> None:
        self.asked = asked
        self.due = math.inf
        self._inbox = inbox
        self._many = many
        self._token = inbox.next_token()
        self.subject = f"{inbox.prefix}.{self._token}"
        self._messages: list[Message] = []
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Reply:
        self._inbox.waiting[self._token] = self
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        del self._inbox.waiting[self._token]
        if not self._done.cancel() and not self._done.cancelled():
            self._done.exception()  # told already, or nobody's any more

    async def messages(self, timeout_s: float) -> list[Message]:
        """All of the answer, in order.

        Raises:
            TimeoutError: it was not complete after `timeout_s`.
            WharfsideError: it cannot come any more.
        """
        self._inbox.bound(self, timeout_s)
        await self._done
        return self._messages

    def feed(self, message: Message) -> None:
        if self._done.done():
            return
        if len(self._messages) < MAX_MESSAGES:
            self._messages.append(message)
        if not self._many or message.status is not None:
            self._done.set_result(None)

    def fail(self, error: WharfsideError | TimeoutError) -> None:
        if not self._done.done():
            self._done.set_exception(error)


class Inbox:
    """The replies under way, below one subject of this connection's own.

    Attributes:
        denied: why no reply can come at all, where this user may not listen here.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = f"{prefix}.{secrets.token_hex(8)}"
        self.waiting: dict[str, Reply] = {}
        self.denied: Denied | None = None
        self._count = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def next_token(self) -> str:
        return f"{next(self._count):x}"

    def expect(self, asked: str, *, many: bool = False) -> Reply:
        """A reply to a request on the subject `asked`."""
        reply = Reply(self, asked, many)
        if self.denied is not None:
            reply.fail(self.denied)
        return reply

    def bound(self, reply: Reply, timeout_s: float) -> None:
        """`reply` fails with TimeoutError where it is not complete by then.

        One timer for all that wait: one for each costs a tenth of a round trip.
        """
        loop = asyncio.get_running_loop()
        reply.due = loop.time() + timeout_s
        if self._timer is None or reply.due < self._timer.when():
            self._remind(loop, reply.due)

    def _remind(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whoever is late by now is told; the timer goes on for the next one."""
        now, self._timer = loop.time(), None
        for reply in list(self.waiting.values()):
            if reply.due <= now:
                reply.fail(TimeoutError())
        dues = [reply.due for reply in self.waiting.values() if now < reply.due < math.inf]
        if dues:
            self._remind(loop, min(dues))

    def deliver(self, message: Message) -> None:
        """Answers that nobody waits for any more are dropped."""
        reply = self.waiting.get(message.subject.rpartition(".")[2])
        if reply is not None:
            reply.feed(message)

    def deny(self, what: str, subject: str) -> None:
        """The server denies us a publish or a subscription (it tells subjects in lower case)."""
        subject = subject.lower()
        if what == "publish":
            for reply in list(self.waiting.values()):
                if reply.asked.lower() == subject:
                    reply.fail(denial(what, reply.asked))
        elif subject.startswith(self.prefix.lower()):
            self.denied = denial(what, self.prefix)
            for reply in list(self.waiting.values()):
                reply.fail(self.denied)

    def cut(self, why: str) -> None:
        """The connection is gone: none of the answers under way will come."""
        for reply in list(self.waiting.values()):
            reply.fail(ServerUnreachable(why, subject=reply.asked))


def denial(what: str, subject: str) -> Denied:
    """The error of a `publish` or a `subscription` that the server denies."""
    advice = (
        "name yourself with --peer or WHARFSIDE_PEER as your account does"
        if what == "subscription"
        else "ask for the right, or use other credentials"
    )
    return Denied(
        f"this NATS user has no {what} right on {subject}; {advice}",
        rule=f"nats-{what}",
        subject=subject,
    )
