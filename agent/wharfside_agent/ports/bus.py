"""What the agent needs of the bus, and the few ways in which the bus can refuse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from wharfside_protocol.io_writing import Parts
from wharfside_protocol.views import BusView


class BusError(Exception):
    """The bus did not take a message; the subclass says what that means."""


class WrongSequence(BusError):
    """JetStream error 10071: the condition does not hold; `actual` is the last sequence."""

    def __init__(self, actual: int) -> None:
        super().__init__(f"the last sequence is {actual}")
        self.actual = actual


class Undecided(BusError):
    """It may or may not have been stored (time-out, 10158, 409): send it again, with its id."""


class NoStream(BusError):
    """No stream takes the subject: `wharfside bootstrap` has not been run, or it is away."""


class Offline(BusError):
    """There is no connection now; nothing was sent."""


class NoMailbox(BusError):
    """The node's consumer does not answer; `deleted`: the server says that it is gone."""

    def __init__(self, *, deleted: bool = False) -> None:
        super().__init__("the mailbox's consumer does not answer: `wharfside bootstrap --repair`")
        self.deleted = deleted


class Request(NamedTuple):
    """A message on the node's rpc prefix."""

    subject: str
    data: bytes
    headers: Mapping[str, str]


Handler = Callable[[Request], Awaitable[bytes | None]]
"""Answers a request; None: no answer is due. Never raises."""


class Bus(Protocol):
    @property
    def connected(self) -> bool: ...

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
        """Stores a message in the stream of its subject; its sequence there.

        `expected` is a condition on the last sequence over `expected_subject`.

        Raises:
            WrongSequence, Undecided, NoStream, Offline.
        """
        ...

    async def round_trip(self, timeout_s: float) -> None:
        """Passes when a server has answered, which says more than a connection that stands.

        Raises:
            Offline, Undecided.
        """
        ...

    async def serve(self, subject: str, handler: Handler) -> None:
        """Answers requests on `subject` from now on, over every reconnect."""
        ...

    async def listen(self, subject: str, tell: Callable[[Request], None]) -> None:
        """Hears what is published on `subject` from now on, over every reconnect."""
        ...

    async def tell(self, subject: str, payload: bytes | Parts) -> None:
        """Tells whoever listens now; nothing of worth, since nobody knows whether it came.

        Raises:
            Invalid: the server takes no message so large.
        """
        ...

    def view(self) -> BusView:
        """What an operator wants to know of the connection."""
        ...

    def on_connected(self, tell: Callable[[], None]) -> None:
        """`tell` is called after every connect and reconnect."""
        ...


class Letter(Protocol):
    """A message from the node's mailbox: delivered again until it is acked or terminated."""

    @property
    def request(self) -> Request: ...

    async def ack(self) -> None:
        """Says that it is in the store, and waits until the server knows; bounded.

        Raises:
            Undecided: the server may deliver it again.
        """
        ...

    async def terminate(self, reason: str) -> None:
        """Says that it is never to be delivered again, and why: it becomes a dead letter."""
        ...


class Mailbox(Protocol):
    async def fetch(self, most: int) -> list[Letter]:
        """What came, in order, as soon as there is something; nothing after some seconds.

        At most `most`, but for what the server sent late.

        Raises:
            NoMailbox, Offline.
        """
        ...
