"""One trace from the caller to the event, seen by a collector and by OpenTelemetry's propagator."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator

import nats
import pytest
from nats.aio.msg import Msg
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from tests.deploy.observability.collector import Collector, collector
from tests.deploy.observability.scenario import add_mailbox
from tests.integration.bounds import bounded
from tests.integration.fifos import shell
from tests.integration.world import Site, World, open_site
from tests.support.agent import AgentProcess
from tests.support.requirements import requires

from wharfside_protocol.errors import NotFound

pytestmark = requires("root", "crun", "conmon", "busybox-static", "nats-server")

SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
"""Milliseconds until spans are exported; the SDK's default is 5 s."""

propagator = TraceContextTextMapPropagator()


@pytest.fixture(scope="module")
def sink() -> Iterator[Collector]:
    with collector() as made:
        yield made


@pytest.fixture(scope="module")
def traced(world: World, sink: Collector) -> Iterator[AgentProcess]:
    with world.agent("traced") as agent:
        add_mailbox(world, agent)
        agent.write_config(f'\n[traces]\nendpoint = "{sink.url}"\n')
        agent.start(until="bus-connected", **SOON)
        yield agent
        assert agent.stop() == 0


class Caller:
    """An orchestrator with OpenTelemetry of its own."""

    def __init__(self) -> None:
        span = TracerProvider(shutdown_on_exit=False).get_tracer("caller").start_span("deploy")
        carrier: dict[str, str] = {}
        propagator.inject(carrier, trace.set_span_in_context(span))
        self.traceparent = carrier["traceparent"]
        context = span.get_span_context()
        self.trace_id = context.trace_id.to_bytes(16, "big")
        self.span_id = context.span_id.to_bytes(8, "big")


def path_to(spans: list[Span], span: Span, caller: Caller) -> list[str]:
    """The names from the caller down to `span`; it fails where a parent is missing."""
    by_id = {each.span_id: each for each in spans}
    names = [span.name]
    while span.parent_span_id != caller.span_id:
        span = by_id[span.parent_span_id]
        names.append(span.name)
    return names[::-1]


async def whole(sink: Collector, caller: Caller) -> list[Span]:
    """The trace, once it has its root, which is over after what is in it, and comes later."""
    await asyncio.to_thread(sink.until, "command run", caller.trace_id)
    return sink.of(caller.trace_id)


async def events_of(site: Site, name: str, last: str, caller: Caller) -> dict[str, Msg]:
    """What a subscriber hears of a container's life, by type."""
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    client = await nats.connect(site.world.server.url)
    try:
        await client.subscribe(f"wharfside.v1.live.evt.*.{name}.*", cb=heard.put)
        await client.flush()
        await site.node.run(site.spec(name, shell("exit 0")), traceparent=caller.traceparent)
        found: dict[str, Msg] = {}
        while last not in found:
            message = await bounded(heard.get(), "an event")
            found[message.subject.rpartition(".")[2]] = message
        return found
    finally:
        await client.close()


async def test_one_trace_leads_from_the_caller_to_the_event(
    world: World, traced: AgentProcess, sink: Collector
) -> None:
    caller = Caller()
    async with open_site(world, traced) as site:
        heard = await events_of(site, site.name(), "exited", caller)
        await site.clear()
    found = {
        type_: await asyncio.to_thread(sink.until, f"publish {type_}", caller.trace_id)
        for type_ in heard
    }
    spans = await whole(sink, caller)
    run = ["command run"]
    assert path_to(spans, found["created"], caller) == [*run, "commit", "publish created"]
    assert path_to(spans, found["exited"], caller) == [*run, "commit", "publish exited"]
    names = {tuple(path_to(spans, each, caller)) for each in spans}
    assert {(*run, "wait in lane"), (*run, "crun create"), (*run, "crun start")} <= names
    assert sink.services == {"wharfside-agent/traced"}
    for type_, message in heard.items():
        read = trace.get_current_span(propagator.extract(dict(message.headers or {}), Context()))
        context = read.get_span_context()
        assert context.is_valid and context.is_remote
        assert context.trace_id.to_bytes(16, "big") == caller.trace_id
        assert context.span_id.to_bytes(8, "big") == found[type_].span_id


async def test_a_durable_command_is_in_its_callers_trace(
    world: World, traced: AgentProcess, sink: Collector
) -> None:
    caller = Caller()
    async with open_site(world, traced) as site:
        spec = site.spec(site.name(), shell("exit 0"))
        await site.node.run(spec, durable=True, timeout_s=20, traceparent=caller.traceparent)
        told = await asyncio.to_thread(sink.until, "publish exited", caller.trace_id)
        await site.clear()
    spans = await whole(sink, caller)
    assert path_to(spans, told, caller) == ["command run", "commit", "publish exited"]
    (command,) = [each for each in spans if each.name == "command run"]
    assert command.kind == Span.SPAN_KIND_CONSUMER


async def test_a_refused_command_is_a_span_that_failed(
    world: World, traced: AgentProcess, sink: Collector
) -> None:
    caller = Caller()
    async with open_site(world, traced) as site:
        with pytest.raises(NotFound):
            await site.node.stop("nobody", traceparent=caller.traceparent)
    span = await asyncio.to_thread(sink.until, "command stop", caller.trace_id)
    facts = {pair.key: pair.value.string_value for pair in span.attributes}
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert facts == {"wharfside.op": "stop", "error.type": "not-found"}


async def test_a_collector_that_is_away_costs_the_node_nothing(world: World) -> None:
    with world.agent("unheard") as agent:
        agent.write_config('\n[traces]\nendpoint = "http://127.0.0.1:1/v1/traces"\n')
        agent.start(until="bus-connected", **SOON)
        async with open_site(world, agent) as site:
            await events_of(site, site.name(), "exited", Caller())
            await site.clear()
        assert agent.stop() == 0
        said = [json.loads(line)["event"] for line in agent.log.read_text().splitlines()]
        assert said.count("traces-not-sent") == 1


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    code = (
        "import sys, wharfside_agent.cli, wharfside_agent.app\n"
        "print([name for name in ('opentelemetry', 'prometheus_client') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_without_the_extra_the_agent_says_what_to_install(world: World) -> None:
    with world.agent("bare") as agent:
        agent.write_config('\n[traces]\nendpoint = "http://127.0.0.1:4318/v1/traces"\n')
        agent.program = ("-c", _WITHOUT_OPENTELEMETRY)
        agent.start(until=None)
        agent.wait()
        assert agent.stop() == 1
        assert "pip install 'wharfside[otel]'" in agent.log.read_text()


_WITHOUT_OPENTELEMETRY = """
import sys
sys.modules["opentelemetry"] = None
from wharfside_agent.cli import main
main()
"""
