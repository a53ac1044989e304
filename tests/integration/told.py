"""What the nodes tell, kept as it comes, so that a test can wait for it and look back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.integration.bounds import BOUND_S, TooLate

from wharfside_client.events import EventStream
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.states import INIT


class Told:
    """Every event of the stream since the test began."""

    def __init__(self, log: Callable[[], str]) -> None:
        """`log` gives the agent's log, for the report of what never came."""
        self.events: list[Event] = []
        self._news = asyncio.Condition()
        self._log = log

    async def follow(self, stream: EventStream) -> None:
        async for _seq, event in stream:
            async with self._news:
                self.events.append(event)
                self._news.notify_all()

    def of(self, container: str) -> list[Event]:
        return [event for event in self.events if event.container == container]

    def types(self, container: str) -> list[str]:
        """In the order of the stream, with the process where it is not init's own."""
        return [_short(event) for event in self.of(container)]

    async def until(
        self, wanted: Callable[[Event], bool], what: str, *, nth: int = 1, within_s: float = BOUND_S
    ) -> Event:
        """The `nth` event that is wanted, told already or to come."""

        def found() -> Event | None:
            matching = [event for event in self.events if wanted(event)]
            return matching[nth - 1] if len(matching) >= nth else None

        try:
            async with asyncio.timeout(within_s), self._news:
                while (event := found()) is None:
                    await self._news.wait()
                return event
        except TimeoutError as error:
            seen = "\n  ".join(f"{event.container} {_short(event)}" for event in self.events)
            raise TooLate(
                f"{what}: not within {within_s} s; told:\n  {seen}\n{self._log()}"
            ) from error

    async def event(
        self,
        container: str | None,
        type_: str,
        *,
        process: str | None = None,
        cause: str | None = None,
        nth: int = 1,
    ) -> Event:
        """The `nth` event of this type; `container` None: of the node itself."""

        def wanted(event: Event) -> bool:
            same = event.container == container and event.type == type_
            return (
                same
                and process in (None, event.process)
                and (cause is None or event.cause == cause)
            )

        return await self.until(wanted, f"{container} {type_} {process or ''}", nth=nth)

    async def exit(self, container: str, process: str = INIT, *, nth: int = 1) -> ExitStatus:
        """How `process` ended, as told."""
        event = await self.event(container, "exited", process=process, nth=nth)
        return status_of(event.data)


def status_of(data: dict[str, Any]) -> ExitStatus:
    """The facts of an `exited` event."""
    fields = {name: data[name] for name in ExitStatus.__struct_fields__ if name in data}
    return ExitStatus(**fields)


def _short(event: Event) -> str:
    exec_ = event.process not in (None, INIT) and event.type not in (
        EventType.EXEC_ADDED,
        EventType.EXEC_STARTED,
    )
    return f"{event.type}:{event.process}" if exec_ else str(event.type)
