"""A container's life at a terminal, on a real server and agent."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.bounds import bounded
from tests.integration.cli_kit import WITH_AGENT, start
from tests.integration.world import Site
from tests.support.eventually import eventually


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
    await site.told.event(name, "deleted")
    told = await quick("events", where, "--json", "--since", "10m")
    types = [json.loads(line)["type"] for line in told.out.splitlines()]
    assert types[0] == "created" and types[-1] == "deleted"
    assert {"started", "paused", "resumed", "updated", "exited"} < set(types)


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
    assert [(await quick("rm", *f, "n1/nobody")).code for f in ([], ["-f"])] == [1, 0]


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
async def test_names_alone_are_what_other_commands_take(
    site: Site, quick: Callable[..., Any]
) -> None:
    """`wharfside rm -f $(wharfside ps -aq)`, as one types it with docker."""
    label, rootfs = f"of={site.name()}", str(site.world.rootfs)
    where = [f"n1/{site.name('quiet')}" for _ in range(2)]
    for each, command in zip(where, ("1000", "0"), strict=True):
        ran = await quick("run", "-d", "--rootfs", rootfs, "-l", label, each, "sleep", command)
        assert ran.code == 0, ran.err
    await quick("wait", where[1])
    assert (await quick("ps", "-q", "-l", label)).out == f"{where[0]}\n"
    listed = (await quick("ps", "-aq", "-l", label)).out.split()
    assert listed == sorted(where)
    assert (await quick("rm", "-f", *listed)).out.split() == listed
    assert (await quick("ps", "-aq", "-l", label)).out == ""


@WITH_AGENT
async def test_restart_stops_and_starts_also_what_is_stopped(
    site: Site, quick: Callable[..., Any]
) -> None:
    where = f"n1/{await site.run()}"
    for run in (2, 3):
        assert (await quick("restart", "-t", "0", where)).out == f"{where}\n"
        (entry,) = (await quick("inspect", where)).json
        assert (entry["value"]["state"], entry["value"]["run"]) == ("running", run)
    await quick("kill", where)
    await quick("wait", where)
    assert (await quick("restart", where)).code == 0
    nowhere = await quick("restart", "n1/nobody")
    assert (nowhere.code, "no container nobody" in nowhere.err) == (1, True)
