"""The pages of the metrics listener, and what each is made of."""

from __future__ import annotations

import socket
from http import HTTPStatus

from wharfside_agent.composition.measures import METRICS
from wharfside_agent.composition.measures.sources import look
from wharfside_agent.composition.parts import Parts
from wharfside_agent.metrics.listener import Answer, Listener, Route, as_json, bound_socket
from wharfside_agent.settings import Settings
from wharfside_protocol import __version__


def metrics_socket(settings: Settings) -> socket.socket | None:
    """Where the pages will be; None: they are off.

    Raises:
        StartError: it cannot be listened on.
    """
    listen = settings.metrics.listen
    return None if listen is None else bound_socket(listen)


async def open_pages(parts: Parts, sock: socket.socket) -> Listener:
    """Answered from now on, also while the agent has not yet found its containers again."""
    listener = Listener(
        {"/metrics": _metrics(parts), "/healthz": _alive(parts), "/readyz": _ready(parts)}
    )
    await listener.start(sock)
    return listener


def _metrics(parts: Parts) -> Route:
    # Here, since prometheus_client takes 40 ms to import: an agent without pages has none of it.
    from wharfside_agent.metrics.exporter import Exporter

    exporter = Exporter(METRICS, lambda: look(parts))

    async def page(accept: str) -> Answer:
        content_type, body = await exporter.page(accept)
        return Answer(HTTPStatus.OK, content_type, body)

    return page


def _alive(parts: Parts) -> Route:
    """That it answers says it all: the loop turns."""

    async def page(_accept: str) -> Answer:
        return as_json(HTTPStatus.OK, {"alive": True, "node": parts.name, "version": __version__})

    return page


def _ready(parts: Parts) -> Route:
    async def page(_accept: str) -> Answer:
        found = parts.readiness.parts()
        ready = not any(found.values())
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        told = {name: why or "ok" for name, why in found.items()}
        return as_json(status, {"ready": ready, "node": parts.name, "parts": told})

    return page
