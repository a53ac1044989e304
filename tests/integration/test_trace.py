"""A command's trace goes with the events that it causes, to its container's end."""

from __future__ import annotations

import asyncio

import nats
import pytest
from nats.aio.msg import Msg
from tests.integration.bounds import bounded
from tests.integration.fifos import shell
from tests.integration.world import Site

pytestmark = pytest.mark.requires("root", "crun", "conmon", "busybox-static")

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def headers_of(site: Site, traceparent: str) -> dict[str, dict[str, str]]:
    """The headers of a container's events by type; its life is run with `traceparent`."""
    name = site.name()
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    client = await nats.connect(site.world.server.url)
    try:
        await client.subscribe(f"wharfside.v1.live.evt.*.{name}.*", cb=heard.put)
        await client.flush()
        spec = site.spec(name, shell("exit 0"))
        await site.node.run(spec, traceparent=traceparent)
        found: dict[str, dict[str, str]] = {}
        while "exited" not in found:
            message = await bounded(heard.get(), "an event")
            found[message.subject.rpartition(".")[2]] = dict(message.headers or {})
        return found
    finally:
        await client.close()


async def test_events_carry_the_trace_of_the_command_that_caused_them(site: Site) -> None:
    found = await headers_of(site, TRACE)
    traces = {type_: headers.get("traceparent") for type_, headers in found.items()}
    assert traces == {"created": TRACE, "started": TRACE, "exited": TRACE}
    assert found["exited"]["ce-type"] == "io.wharfside.container.exited"


async def test_what_is_no_trace_goes_nowhere(site: Site) -> None:
    found = await headers_of(site, "not a trace")
    assert all("traceparent" not in headers for headers in found.values())
