"""The op `usage`: of many containers in one answer, by name or label, in pages."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.fifos import shell
from tests.integration.raw import Raw
from tests.integration.world import Site

from wharfside_client import nodeops
from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.node_commands import UsageValue
from wharfside_protocol.specs import Limits


def names(value: UsageValue) -> list[str]:
    return [each.container for each in value.containers]


async def three(site: Site) -> list[str]:
    """Three that live, in the order of their names."""
    made = [site.name(f"u{number}") for number in range(3)]
    await asyncio.gather(*(site.run(name=name, labels={"no": name[:2]}) for name in made))
    return made


async def test_of_all_that_live_and_of_the_node(site: Site) -> None:
    made, over = await three(site), await site.run(shell("exit 0"))
    limited = await site.run(name=site.name("v"), limits=Limits(memory_bytes=64 << 20, pids=9))
    await site.node.wait(over)
    value = await site.node.usage()
    assert names(value) == [*made, limited]
    figures = value.containers[-1].usage
    assert (figures.memory_limit_bytes, figures.pids_limit) == (64 << 20, 9)
    assert figures.pids and figures.memory_bytes and figures.cpu_us
    view = await site.node.inspect(limited)
    told = value.containers[-1]
    assert (told.incarnation, told.run) == (view.incarnation, view.run)
    info = await site.node.info()
    assert value.node.memory_limit_bytes == info.memory_bytes
    assert value.node.cpu_us and value.node.cpu_us > figures.cpu_us
    assert value.node.uptime_us <= figures.uptime_us, "one clock, read in this order"


async def test_only_of_those_that_are_named_or_labelled(site: Site) -> None:
    made, over = await three(site), await site.run(shell("exit 0"))
    await site.node.wait(over)
    asked = [made[2], "nobody", over, made[0]]
    assert names(await site.node.usage(asked)) == [made[0], made[2]]
    assert names(await site.node.usage(made, labels={"no": "u1"})) == [made[1]]
    assert names(await site.node.usage(labels={"no": "u2"})) == [made[2]]
    assert names(await site.node.usage([])) == [], "the node's own figures alone"


@pytest.mark.parametrize("named", [True, False])
async def test_pages_have_each_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setattr(nodeops, "USAGE_PAGE", 2)
    made = await three(site)
    assert names(await site.node.usage(made if named else None)) == made
    first = await site.node.call("usage", {"limit": 2})
    assert isinstance(first, UsageValue)
    assert (names(first), first.next) == (made[:2], made[1])
    last = await site.node.call("usage", {"limit": 2, "after": made[1]})
    assert isinstance(last, UsageValue)
    assert (names(last), last.next) == (made[2:], None)


@pytest.mark.parametrize(
    "args", [{"limit": 0}, {"limit": 1001}, {"containers": ["c"] * 1001}, {"containers": ["a.b"]}]
)
async def test_what_is_too_much_or_no_name_is_invalid(
    site: Site, raw: Raw, args: dict[str, object]
) -> None:
    answer = await raw.command("n1", "usage", args)
    assert answer.error is not None and answer.error.code == ErrorCode.INVALID
