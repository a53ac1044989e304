"""The CLI as operators type it, against a real server and agent.

In a process of its own where signals, terminals or bytes matter; else within this
one, in a thread, since loading it each time would take most of the time.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.integration.bounds import bounded
from tests.integration.world import Site
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires
from typer.testing import CliRunner

from wharfside_client.cli.main import make_app

ENTRY = "from wharfside_client.cli.main import main; main()"
COMMAND = (sys.executable, "-c", ENTRY)
WITH_AGENT = requires("root", "conmon", "crun", "busybox-static", "nats-server")


@dataclass(frozen=True)
class Ran:
    """How a run of the CLI ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(url: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NATS_", "WHARFSIDE_"))}
    return {**kept, "NATS_URL": url, "HOME": "/nonexistent", "COLUMNS": "80"}


async def start(url: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(url),
    )


async def cli(url: str, *arguments: str) -> Ran:
    process = await start(url, *arguments)
    out, err = await bounded(process.communicate(), f"wharfside {' '.join(arguments)}")
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def typed(url: str, *arguments: str) -> Ran:
    """As `cli`, without a process of its own."""

    def invoke() -> Ran:
        env = {"NATS_URL": url, "HOME": "/nonexistent"}
        ran = CliRunner().invoke(make_app(), arguments, env=env)
        return Ran(ran.exit_code, ran.stdout, ran.stderr)

    return await bounded(asyncio.to_thread(invoke), f"wharfside {' '.join(arguments)}")


@pytest.fixture
def wharfside(site: Site) -> Callable[..., Any]:
    """The CLI as a process, against the module's server."""

    async def run(*arguments: str) -> Ran:
        return await cli(site.world.server.url, *arguments)

    return run


@pytest.fixture
def quick(site: Site) -> Callable[..., Any]:
    """The CLI in a thread, against the module's server."""

    async def run(*arguments: str) -> Ran:
        return await typed(site.world.server.url, *arguments)

    return run


@WITH_AGENT
async def test_run_in_the_foreground_prints_and_exits_as_the_container_did(
    site: Site, wharfside: Callable[..., Any], quick: Callable[..., Any]
) -> None:
    where = f"n1/{site.name()}"
    script = "echo out; echo err >&2; echo $GREETING $(pwd) $(id -u); exit 3"
    flags = ("--rootfs", str(site.world.rootfs), "-e", "GREETING=hi", "-w", "/tmp", "-u", "1000")
    ran = await wharfside("run", *flags, where, "sh", "-c", script)
    assert (ran.code, ran.out, ran.err) == (3, "out\nhi /tmp 1000\n", "err\n")
    listed = (await quick("ps", "-a", "--json")).json
    (view,) = [c for c in listed["containers"] if f"{c['node']}/{c['container']}" == where]
    assert (view["state"], view["exit"]["exit_code"]) == ("stopped", 3)
    assert listed["unanswered"] == []


@WITH_AGENT
async def test_run_rm_leaves_nothing_and_loses_no_output(
    site: Site, wharfside: Callable[..., Any]
) -> None:
    name = site.name()
    rootfs = str(site.world.rootfs)
    ran = await wharfside(
        "run", "--rm", "--json", "--rootfs", rootfs, f"n1/{name}", "printf", "\\377x"
    )
    assert ran.code == 0, ran.err
    assert ran.json["output"]["stdout"] == "/3g="
    assert ran.json["output"]["stdout_encoding"] == "base64"
    await site.told.event(name, "deleted")
    assert name not in [view.container for view in await site.node.list(all=True)]


@WITH_AGENT
@pytest.mark.parametrize(
    ("words", "code"), [(("nosuch",), 127), (("/etc/passwd",), 126), (("sh", "-c", "exit 9"), 9)]
)
async def test_dockers_exit_codes_for_run_and_exec(
    site: Site, wharfside: Callable[..., Any], words: tuple[str, ...], code: int
) -> None:
    rootfs = str(site.world.rootfs)
    running = await site.run()
    ran, done = await asyncio.gather(
        wharfside("run", "--rm", "--rootfs", rootfs, "n1", *words),
        wharfside("exec", f"n1/{running}", *words),
    )
    assert (ran.code, done.code) == (code, code), ran.err + done.err


@WITH_AGENT
async def test_a_container_through_its_life(site: Site, quick: Callable[..., Any]) -> None:
    name, rootfs = site.name("web"), str(site.world.rootfs)
    where = f"n1/{name}"
    created = await quick(
        "create",
        "--rootfs",
        rootfs,
        "-m",
        "32m",
        "--cpus",
        "0.5",
        "--pids-limit",
        "20",
        "--label",
        "tier=front",
        "--stop-timeout",
        "1s",
        where,
        "sleep",
        "1000",
    )
    assert (created.code, created.out) == (0, f"{where}\n"), created.err
    assert (await quick("start", where)).out == f"{where}\n"
    (entry,) = (await quick("inspect", where)).json
    spec = entry["value"]["spec"]
    assert spec["limits"]["memory_bytes"] == 32 << 20
    assert (spec["limits"]["cpu_percent"], spec["limits"]["pids"]) == (50, 20)
    assert (spec["labels"], spec["grace_s"]) == ({"tier": "front"}, 1.0)
    assert (await quick("pause", where)).code == 0
    assert re.search(rf"^{where} +paused ", (await quick("ps", "-l", "tier=front")).out, re.M)
    assert (await quick("resume", where)).code == 0
    assert (await quick("update", "-m", "64m", where)).code == 0
    assert re.search(rf"^{where} .* 64M ", (await quick("stats", where)).out, re.M)
    assert (await quick("stop", "-t", "0", where)).code == 0
    assert (await quick("wait", where)).out == "137 (stop)\n"
    assert (await quick("rm", where)).out == f"{where}\n"
    told = await quick("events", where, "--json", "--since", "10m")
    types = [json.loads(line)["type"] for line in told.out.splitlines()]
    assert types[0] == "created" and types[-1] == "deleted"
    assert {"started", "paused", "resumed", "updated", "exited"} < set(types)


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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("signl", "n1"), "no op 'signl'; there are: ping"),
        (("signal", "n1", '{"container": "web", "sgnal": "HUP"}'), "has no sgnal"),
        (("signal", "n1", '{"container":'), "truncated"),
        (("signal", "n1", "{}"), "container"),
        (("logs", "n1", "{}"), "opens an I/O session"),
        (("create", "n1", "[]"), "object"),
    ],
)
async def test_what_is_no_op_or_not_its_json_is_told_before_it_is_sent(
    words: tuple[str, ...], says: str
) -> None:
    ran = await typed("nats://127.0.0.1:1", "api", *words)
    assert ran.code == 1
    assert says in ran.err


@WITH_AGENT
async def test_restart_policies_at_a_terminal(site: Site, quick: Callable[..., Any]) -> None:
    name, rootfs = site.name("job"), str(site.world.rootfs)
    where = f"n1/{name}"
    policy = ("--restart", "on-failure:2", "--stop-on-disconnect", "10m")
    ran = await quick("run", "-d", *policy, "--rootfs", rootfs, where, "sh", "-c", "exit 3")
    assert ran.code == 0, ran.err
    await site.told.event(name, "not-restarting")
    (entry,) = (await quick("inspect", where)).json
    spec, value = entry["value"]["spec"], entry["value"]
    assert spec["restart"] == {"policy": "on-failure", "max_retries": 2}
    assert (spec["stop_on_disconnect_s"], value["run"], value["restarts"]) == (600, 3, 2)
    assert (await quick("wait", "--run", "1", where)).out == "3\n"
    told = (await quick("events", where, "--since", "10m")).out
    assert re.search(r"restarting +run 2 in \d+ms, restart 1$", told, re.M), told
    assert re.search(r"not-restarting +max-retries$", told, re.M), told

    assert (await quick("start", where)).code == 0
    await site.told.event(name, "not-restarting", nth=2)
    always = site.name("always")
    loops = ("--restart", "always", "--rootfs", rootfs, f"n1/{always}", "false")
    assert (await quick("run", "-d", *loops)).code == 0
    await site.told.event(always, "restarting", nth=5)

    async def waits() -> bool:
        """Nearly always, by now."""
        return bool(re.search(rf"^n1/{always} +restarting +1 ", (await quick("ps")).out, re.M))

    await eventually(waits, "it waits for its next run")
    assert (await quick("stop", f"n1/{always}")).code == 0
    assert re.search(rf"^n1/{always} +stopped +1 ", (await quick("ps", "-a")).out, re.M)


@WITH_AGENT
@pytest.mark.parametrize(
    "flags",
    [
        ("--restart", "always:3"),
        ("--restart", "on-failure:0"),
        ("--restart", "always", "--rm"),
        ("--stop-on-disconnect", "5x"),
        ("--stop-on-disconnect", "0.5"),
    ],
)
async def test_policies_that_cannot_be_are_wrong_usage(
    site: Site, quick: Callable[..., Any], flags: tuple[str, ...]
) -> None:
    where, rootfs = f"n1/{site.name()}", str(site.world.rootfs)
    ran = await quick("run", "-d", *flags, "--rootfs", rootfs, where, "true")
    assert (ran.code, ran.out) == (2, ""), ran.err


@WITH_AGENT
async def test_several_targets_are_each_told_by_themselves(
    site: Site, quick: Callable[..., Any]
) -> None:
    running = await site.run()
    ran = await quick("kill", "n1/nobody", f"n1/{running}")
    assert (ran.code, ran.out) == (1, f"n1/{running}\n")
    assert "n1/nobody" in ran.err
    first, second = (await quick("rm", "-f", "--json", f"n1/{running}", "n1/nobody")).json
    assert (first["container"], first["value"]["exit"]["exit_code"]) == (running, 137)
    assert second["error"]["code"] == "not-found"


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
async def test_signals_go_to_the_container_in_the_foreground_and_a_second_one_leaves_it(
    site: Site,
) -> None:
    name, rootfs = site.name(), str(site.world.rootfs)
    script = (
        "trap 'echo usr1' USR1; trap 'echo term' TERM; echo ready; while :; do sleep 0.05; done"
    )
    process = await start(
        site.world.server.url, "run", "--rootfs", rootfs, f"n1/{name}", "sh", "-c", script
    )
    assert process.stdout is not None
    for number, answer in ((None, "ready"), (signal.SIGUSR1, "usr1"), (signal.SIGTERM, "term")):
        if number is not None:
            process.send_signal(number)
        line = await bounded(process.stdout.readline(), answer)
        assert line.decode() == f"{answer}\n"
    process.send_signal(signal.SIGTERM)
    out, err = await bounded(process.communicate(), "its end")
    assert (process.returncode, out) == (143, b"")
    assert f"`wharfside attach n1/{name}`" in err.decode()
    assert [view.state for view in await site.node.list() if view.container == name] == ["running"]


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


async def on_terminal(url: str, *arguments: str) -> str:
    """What the CLI shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    try:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment(url), "TERM": "xterm-256color"},
        )
        await bounded(process.wait(), "the end")
        os.close(theirs)
        return b"".join(iter(lambda: _read(ours), b"")).decode()
    finally:
        os.close(ours)


def _read(terminal: int) -> bytes:
    """What comes next; nothing once the other side is closed and all of it was read."""
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        assert error.errno == errno.EIO
        return b""


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
        timeout=20,
        check=True,
    )
    assert "Drive the container nodes" in done.stdout
    assert "loaded: []" in done.stdout
