"""The node as a NATS micro service (ADR-32): found by `nats micro ls`, info and stats.

One wildcard endpoint for all ops; a bounded task a request, since micro itself
runs one request at a time. The queue group is new after each loss: micro's default
one would split the commands between two agents of one name (rule 12), and one that
lasts would do so between this client and a dead one that the server still believes in.
A client that takes the place of a living one has its group, so that each request comes once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog
from nats.aio.client import Client
from nats.micro import add_service
from nats.micro.request import Request as MicroRequest
from nats.micro.service import EndpointConfig, Service, ServiceConfig
from ulid import ULID

from wharfside_agent.ports.bus import Handler, Request

log = structlog.get_logger(__name__)

SERVICE_NAME = "wharfside-agent"


class RpcService:
    """`overloaded` makes the answer for a request that no task can be had for.

    `instant` ops wait for nothing: they get no task, and are answered even then.
    `looking` ops, which somebody who may only look can ask, have three quarters of the tasks at
    most: a viewer whose every `wait` lasts a minute keeps nobody out who has something to do.
    """

    def __init__(
        self,
        version: str,
        node: str,
        node_id: str,
        ops: tuple[str, ...],
        instant: tuple[str, ...],
        looking: tuple[str, ...],
        max_tasks: int,
        overloaded: Callable[[Request], bytes],
    ) -> None:
        self._config = ServiceConfig(
            name=SERVICE_NAME,
            version=version,
            description=f"Wharfside node {node}",
            metadata={"node": node, "node_id": node_id},
        )
        self._ops = ops
        self._instant = tuple(f".{op}" for op in instant)
        self._looking = tuple(f".{op}" for op in looking)
        self.limit(max_tasks)
        self._overloaded = overloaded
        self._tasks: set[asyncio.Task[None]] = set()
        self._looks: set[asyncio.Task[None]] = set()
        self._service: Service | None = None
        self._group = str(ULID())

    def regroup(self) -> None:
        """The client before is dead; what the server still gives it must reach us, too."""
        self._group = str(ULID())

    def limit(self, max_tasks: int) -> None:
        """From the next request on."""
        self._max_tasks = max_tasks
        self._max_looks = max_tasks - max_tasks // 4

    async def settled(self, timeout_s: float) -> None:
        """Until what is asked now is answered, at most so long."""
        if tasks := set(self._tasks):
            await asyncio.wait(tasks, timeout=timeout_s)

    async def start(self, client: Client, subject: str, handler: Handler) -> None:
        """Registers the service on a new client."""

        async def received(request: MicroRequest) -> None:
            await self._take(request, handler)

        self._service = await add_service(client, self._config)
        await self._service.add_endpoint(
            EndpointConfig(
                name="rpc",
                subject=subject,
                handler=received,
                queue_group=self._group,
                metadata={"ops": ",".join(self._ops)},
            )
        )

    async def _take(self, request: MicroRequest, handler: Handler) -> None:
        message = Request(request.subject, request.data, request.headers or {})
        if request.subject.endswith(self._instant):
            await _answer(request, message, handler)
            return
        looks = request.subject.endswith(self._looking)
        if len(self._tasks) >= self._max_tasks or (looks and len(self._looks) >= self._max_looks):
            await _send(request, self._overloaded(message))
            return
        task = asyncio.create_task(_answer(request, message, handler))
        for kept in (self._tasks, self._looks) if looks else (self._tasks,):
            kept.add(task)
            task.add_done_callback(kept.discard)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Takes no more requests, and lets those under way end, at most `grace_s`."""
        if self._service is not None:
            try:
                await asyncio.wait_for(self._service.stop(), 1.0)
            except Exception as error:
                log.info("service-stop", error=repr(error))
        await self.settled(grace_s)


async def _answer(request: MicroRequest, message: Request, handler: Handler) -> None:
    answer = await handler(message)
    if answer is not None:
        await _send(request, answer)


async def _send(request: MicroRequest, answer: bytes) -> None:
    try:
        await request.respond(answer, headers=_trace(request.headers or {}))
    except Exception as error:
        # No reply subject, or no connection: the caller asks again with the same id.
        log.warning("answer-not-sent", error=repr(error))


def _trace(headers: Mapping[str, str]) -> dict[str, str] | None:
    """The caller's trace context travels back with the answer, and nothing else of its own."""
    found = {k: headers[k] for k in ("traceparent", "tracestate") if k in headers}
    return found or None
