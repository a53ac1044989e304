"""The CLI over a whole fleet, on a real server and agent: listed, told, asked, and refused."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.cli_kit import ENTRY, WITH_AGENT, on_terminal, start, typed
from tests.integration.world import Site
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client.cli import complete
from wharfside_protocol.specs import Limits


@WITH_AGENT
async def test_any_op_from_json(site: Site, quick: Callable[..., Any]) -> None:
    name = site.name()
    args = {"container": name, "source": {"rootfs": str(site.world.rootfs)}}
    args |= {"process": {"args": ["sh", "-c", "exit 4"]}}
    made = await quick("api", "run", "n1", json.dumps(args), "--id", f"api-{name}-1")
    assert (made.code, made.json["container"]) == (0, name), made.err
    again = await quick("api", "run", "n1", json.dumps(args), "--id", f"api-{name}-1")
    assert again.json["incarnation"] == made.json["incarnation"]
    ended = await quick("api", "wait", "n1", json.dumps({"container": name}))
    assert ended.json["exit"]["exit_code"] == 4
    stale = await quick(
        "api", "delete", "n1", json.dumps({"container": name}), "--expect", '{"run": 9}'
    )
    assert (stale.code, "run" in stale.err) == (1, True)
    schema = await quick("schema", "wait", "--value", "--whole")
    result = {"id": "wait-0001", "op": "wait", "node": "n1", "ok": True, "value": ended.json}
    Draft202012Validator(schema.json).validate(result)


@WITH_AGENT
async def test_the_shell_is_offered_what_there_is(
    site: Site, quick: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what was deleted, though the bus keeps its projection for an hour."""
    monkeypatch.setenv("NATS_URL", site.world.server.url)
    there, gone = [f"n1/{await site.run()}" for _ in range(2)]
    await quick("rm", "-f", gone)

    async def offered() -> bool:
        """Where an answer takes a second nothing is."""
        names = await asyncio.to_thread(complete.targets, "n1/")
        nodes = await asyncio.to_thread(complete.places, "n")
        there_too = there in await asyncio.to_thread(complete.places, "n1/")
        return there in names and gone not in names and nodes == ["n1"] and there_too

    await eventually(offered, "what is there")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("signl", "n1"), "no op 'signl'; there are: ping"),
        (
            ("signal", "n1", '{"container": "web", "sgnal": "HUP"}'),
            "has no sgnal; it takes: container, signal",
        ),
        (("signal", "n1", '{"container": 3}'), "it takes: container"),
        (("signal", "n1", '{"container":'), "takes a JSON object such as"),
        (("signal", "n1", "{}"), "container"),
        (("logs", "n1", "{}"), "opens an I/O session"),
        (("create", "n1", "[]"), "object"),
        (("list", "n1", "{}", "--expect", '{"runs": 1}'), "--expect has no runs"),
    ],
)
async def test_what_is_no_op_or_not_its_json_is_told_before_it_is_sent(
    words: tuple[str, ...], says: str
) -> None:
    ran = await typed("nats://127.0.0.1:1", "api", *words)
    assert ran.code == 2, "1 is a node's refusal"
    assert says in ran.err


@WITH_AGENT
async def test_events_follow_until_they_are_told_to_end(site: Site) -> None:
    name = site.name()
    url = site.world.server.url
    process = await start(url, "events", "-f", "--json", "--since", "1m", f"n1/{name}")
    await site.run(("true",), name=name)
    assert process.stdout is not None
    types: list[str] = []
    while "exited" not in types:
        line = await bounded(process.stdout.readline(), f"an event after {types}")
        types.append(json.loads(line)["type"])
    assert types == ["created", "started", "exited"]
    process.send_signal(signal.SIGINT)
    await bounded(process.communicate(), "the end")
    assert process.returncode == 130


@WITH_AGENT
async def test_a_named_node_that_does_not_answer_is_no_success(
    site: Site, quick: Callable[..., Any]
) -> None:
    ran = await quick("ps", "n1", "nobody")
    assert ran.code == 125
    assert "nobody is not in this list" in ran.err


@WITH_AGENT
async def test_stats_of_all_that_run(site: Site, quick: Callable[..., Any]) -> None:
    label = {"of": site.name()}
    busy = await site.run(("sh", "-c", "while :; do :; done"), labels=label)
    idle = await site.run(labels=label, limits=Limits(memory_bytes=64 << 20))
    over = await site.run(("true",), labels=label)
    await site.told.exit(over)
    only = f"of={label['of']}"
    ran = await quick("stats", "-l", only)
    head, *told = [line.split() for line in ran.out.replace("CPU TIME", "TIME").splitlines()]
    assert (ran.code, ran.err) == (0, "")
    assert head == ["CONTAINER", "CPU", "%", "TIME", "MEMORY", "LIMIT", "MEM", "%", "PIDS"]
    assert sorted(words[0] for words in told) == sorted([f"n1/{busy}", f"n1/{idle}"])
    rows = {words[0]: words for words in told}
    assert float(rows[f"n1/{idle}"][1]) < float(rows[f"n1/{busy}"][1])
    assert rows[f"n1/{busy}"][4:6] == ["-", "-"], "no limit, no share of it"
    assert (rows[f"n1/{idle}"][4], rows[f"n1/{idle}"][6]) == ("64M", "1")
    document = (await quick("stats", "--json", "-l", only, "n1")).json
    assert document["unanswered"] == []
    assert {each["container"] for each in document["containers"]} == {busy, idle}
    both = await quick("stats", f"n1/{busy}", f"n1/{idle}")
    assert both.out.splitlines()[0].split()[-2:] == ["READ", "WRITTEN"]
    assert len(both.out.splitlines()) == 3


@WITH_AGENT
@pytest.mark.parametrize("command", [("ps",), ("stats",), ("top", "-i", "0.5")], ids=" ".join)
async def test_whoever_asks_for_a_node_that_is_not_there_is_told_alike(
    site: Site, quick: Callable[..., Any], command: tuple[str, ...]
) -> None:
    await site.run()
    ran = await quick(*command, "n1", "nobody")
    assert ran.code == 125
    assert "nobody" in ran.err and "no agent of node nobody is connected" in ran.err
    assert "n1/" in ran.out, "those that are there are told nevertheless"
    told = await quick(*command, "--json", "nobody")
    assert (told.code, told.err) == (125, "")
    (entry,) = told.json["unanswered"]
    assert (entry["node"], entry["error"]["code"]) == ("nobody", "node-unreachable")
    assert (await quick(*command, "n1")).code == 0


@WITH_AGENT
async def test_on_a_terminal_tables_fit_eighty_columns(site: Site) -> None:
    name = site.name("a-container-with-a-rather-long-name-that-goes-on-and-on")
    await site.run(("sh", "-c", "sleep 1000; : " + "a long command " * 10), name=name)
    screen = await on_terminal(site.world.server.url, "ps")
    assert "\x1b[" in screen
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen)
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= 80
    assert "running" in plain and "…" in plain and "sh -c sleep" in plain
    assert "\x1b[" not in await on_terminal(site.world.server.url, "ps", "--no-color")
    whole = await on_terminal(site.world.server.url, "ps", "--no-trunc", "--no-color")
    assert "…" not in whole and "a long command " * 10 in whole.replace("\r\n", "")
    used = await on_terminal(site.world.server.url, "stats", "--no-color")
    assert max(len(line.rstrip()) for line in used.splitlines()) <= 80
    assert "MEM %" in used and f"n1/{name}"[:30] in used


@requires("nats-server")
async def test_bootstrap_and_nodes(nats_server: NatsServer) -> None:
    url = nats_server.url
    lost = await typed(url, "nodes")
    assert (lost.code, lost.out) == (125, "")
    assert "wharfside bootstrap" in lost.err
    first = await typed(url, "bootstrap", "--json")
    assert {asset["outcome"] for asset in first.json} == {"created"}
    again = await typed(url, "bootstrap")
    assert again.code == 0
    assert "created" not in again.out and again.out.count("unchanged") == len(first.json)
    assert "n7" in (await typed(url, "nodes", "add", "n7")).out
    assert (await typed(url, "nodes", "--json")).json == []
    removed = (await typed(url, "--json", "nodes", "rm", "n7")).json
    assert [(r["kind"], r["outcome"]) for r in removed] == [
        ("mailbox", "removed"),
        ("carriage", "removed"),
        ("presence", "absent"),
    ]


@requires("nats-server")
async def test_what_cannot_be_reached_is_told_with_125(nats_server: NatsServer) -> None:
    away = await typed(nats_server.url, "stop", "n9/web")
    assert away.code == 125
    assert "no agent of node n9 is connected" in away.err
    told = await typed(nats_server.url, "info", "n9", "--json")
    assert (told.code, told.out) == (125, "")
    assert json.loads(told.err)["error"]["code"] == "node-unreachable"
    nats_server.stop()
    lost = await typed(nats_server.url, "ps")
    assert lost.code == 125
    assert "check that it runs" in lost.err
    assert "Traceback" not in lost.err


async def test_help_needs_neither_nats_nor_the_protocol() -> None:
    script = f"import sys\ntry:\n    {ENTRY.replace('; ', chr(10) + '    ')}\nfinally:\n" + (
        "    print('loaded:', sorted({'nats', 'asyncio', 'msgspec', 'rich'} & set(sys.modules)))"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, "--help"],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=True,
    )
    assert "Drive the container nodes" in done.stdout
    assert "loaded: []" in done.stdout
