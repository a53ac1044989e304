"""The CLI by mail: `--durable`, `--no-wait`, what became of commands, and repairs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.integration.cli_kit import Ran, typed
from tests.integration.test_dead_letters import dead, envelope, put
from tests.integration.test_durable import has_mailbox, lose_mailbox
from tests.integration.world import Site, World, open_site
from tests.support.agent import AgentProcess

from wharfside_client import Pending
from wharfside_client.calls import new_command_id
from wharfside_client.cli import session
from wharfside_protocol.command_base import ContainerArgs

Cli = Callable[..., Awaitable[Ran]]


@pytest.fixture(autouse=True)
async def its_mailbox(world: World, agent: AgentProcess) -> AsyncIterator[None]:
    async with open_site(world, agent) as site:
        await site.fleet.setup.add_node("n1")
        await has_mailbox(site, "ok")
    yield


@pytest.fixture
def cli(site: Site) -> Cli:
    async def run(*arguments: str) -> Ran:
        return await typed(site.world.server.url, *arguments)

    return run


async def test_a_life_by_mail(site: Site, cli: Cli) -> None:
    where = f"n1/{site.name()}"
    rootfs = ("--rootfs", str(site.world.rootfs))
    ran = await cli("run", "-d", "--durable", *rootfs, where, "sleep", "1000")
    assert (ran.code, ran.out) == (0, f"{where}\n"), ran.err
    ran = await cli("exec", "--durable", where, "sh", "-c", "echo hello; exit 3")
    assert (ran.code, ran.out) == (3, "hello\n")
    for words in (("pause",), ("resume",), ("update", "--pids-limit", "9"), ("stop", "-t", "0s")):
        ran = await cli(*words, "--durable", where)
        assert (ran.code, ran.out) == (0, f"{where}\n"), ran.err
    assert (await cli("rm", "-f", "--durable", where)).code == 0
    ran = await cli("start", "--durable", where)
    assert ran.code == 1
    assert "no container" in ran.err


async def test_one_that_nobody_does_says_what_it_waits_for(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "FOLLOWING_S", 0.0)
    ran = await cli("stop", "--durable", "--timeout", "0.5", "nobody/web")
    assert ran.code == 125
    first, *_ = ran.err.splitlines()
    assert "`wharfside nodes add nobody`" in first and "`wharfside result nobody " in first


async def test_posted_without_waiting_and_asked_for_later(site: Site, cli: Cli) -> None:
    name = site.name()
    where = f"n1/{name}"
    rootfs = ("--rootfs", str(site.world.rootfs))
    ran = await cli("create", "--no-wait", *rootfs, where, "sleep", "1000")
    assert (ran.code, ran.out.split()[0]) == (0, where), ran.err
    created = ran.out.split()[1]
    ran = await cli("start", "--no-wait", where, "--json")
    started = ran.json[0]["value"]["command"]
    ran = await cli("result", "--wait", "n1", started)
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"start {started}: done"), ran.err
    listed: list[dict[str, Any]] = (await cli("commands", "n1", "-n", "2", "--json")).json
    assert [each["command"] for each in listed] == [started, created]
    assert {(each["lane"], each["state"]) for each in listed} == {("mailbox", "done")}
    table = (await cli("commands", "n1", "-n", "1")).out.splitlines()
    assert len(table) == 2
    assert table[1].split()[:5] == [started, "start", name, "done", "mailbox"]
    assert (await cli("cancel", "n1", started)).code == 1


async def test_what_no_wait_prints_can_be_asked_for_as_it_is(site: Site, cli: Cli) -> None:
    name = await site.run()
    posted = (await cli("stop", "-t", "0s", "--no-wait", f"n1/{name}")).out.split()
    assert posted[0] == f"n1/{name}"
    ran = await cli("result", "--wait", *posted)
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"stop {posted[1]}: done"), ran.err
    assert (await cli("cancel", *posted)).code == 1, "it is done"


@pytest.mark.parametrize("words", [("checkpoint", "create"), ("restore",)], ids=" ".join)
async def test_of_checkpoints_it_is_no_failure_either(
    site: Site, cli: Cli, words: tuple[str, ...]
) -> None:
    where = f"n1/{site.name()}"
    ran = await cli(*words, "--no-wait", where, "one")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.split()[0] == where
    told = await cli("result", "--wait", *ran.out.split())
    assert (told.code, "not-found" in told.err or "unsupported" in told.err) == (1, True)
    posted = await cli(*words, "--no-wait", "--json", where, "one")
    assert set(posted.json) == {"command"}


async def test_no_wait_is_the_same_whether_or_not_the_node_has_told_already(site: Site) -> None:
    args, id_ = ContainerArgs(container=site.name()), new_command_id()
    posted = await site.node.post("pause", args, command_id=id_)
    async with posted:
        assert not (await posted.result(30)).ok
    with pytest.raises(Pending, match=id_):
        await site.node.request("pause", args, command_id=id_, durable=True, timeout_s=0)


async def test_one_that_failed_exits_1(site: Site, cli: Cli) -> None:
    ran = await cli("stop", "--no-wait", f"n1/{site.name()}")
    assert ran.code == 0, ran.err
    id_ = ran.out.split()[1]
    ran = await cli("result", "-w", "n1", id_)
    assert (ran.code, ran.out) == (1, f"stop {id_}: done\n")
    assert "not-found: " in ran.err
    ran = await cli("result", "n1", "never-seen")
    assert (ran.code, ran.out) == (1, "")


async def test_dead_letters_are_listed_and_sent_again(site: Site, cli: Cli) -> None:
    id_ = f"bad-{site.name()}-12345"
    seq = await put(site, envelope(id=id_, args={}))
    await dead(site.fleet, seq)
    row = (await cli("dead-letters", "n1")).out.splitlines()[-1].split()
    assert row[:4] == [str(seq), "n1", "pause", id_]
    assert "invalid:" in row
    assert (await cli("dead-letters", "n2", "--json")).json == []
    resent = (await cli("dead-letters", "--resend", str(seq))).out.strip()
    ran = await cli("result", "--wait", "n1", resent)
    assert ran.code == 1
    assert "invalid: " in ran.err
    assert (await cli("dead-letters", "--resend", "999999")).code == 1


async def test_a_lost_mailbox(site: Site, cli: Cli) -> None:
    await lose_mailbox(site)
    await has_mailbox(site, "missing")
    assert "mailbox:        missing" in (await cli("info", "n1")).out
    assert "n1" not in (await cli("bootstrap")).out
    rows = [line.split() for line in (await cli("bootstrap", "--repair")).out.splitlines()]
    assert ["n1", "mailbox", "created"] in rows
    await has_mailbox(site, "ok")
