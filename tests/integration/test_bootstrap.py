"""bootstrap and nodes add/rm on a real server: made once, kept right, drift told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.client_kit import opened_bus, presence
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client.assets import AssetReport, Outcome
from wharfside_client.bus import Bus
from wharfside_client.errors import NotSetUp
from wharfside_client.fleet import read_nodes
from wharfside_client.jetstream import JetStream
from wharfside_client.setup import Setup
from wharfside_protocol.assets import CKPT, CMD, EVT, RES, mailbox, node_key, streams
from wharfside_protocol.codec import encode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.subjects import Subjects

pytestmark = requires("nats-server")


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with opened_bus(nats_server.url) as bus:
        yield bus


def of(reports: list[AssetReport], name: str) -> AssetReport:
    return next(report for report in reports if report.name == name)


async def config_of(bus: Bus, stream: str) -> dict[str, Any]:
    found: dict[str, Any] = (await JetStream(bus).api(f"STREAM.INFO.{stream}"))["config"]
    return found


async def change(bus: Bus, stream: str, **settings: Any) -> None:
    """What somebody with the right to does behind our back."""
    changed = {**await config_of(bus, stream), **settings}
    await JetStream(bus).api(f"STREAM.UPDATE.{stream}", changed)


async def test_everything_is_made_as_the_protocol_says(bus: Bus) -> None:
    reports = await Setup(bus).bootstrap()
    wanted = streams(Subjects())
    assert {r.name: r.outcome for r in reports} == {c["name"]: Outcome.CREATED for c in wanted}
    for config in wanted:
        found = await config_of(bus, config["name"])
        assert {key: found[key] for key in config} == config


async def test_a_second_run_changes_nothing(bus: Bus) -> None:
    await Setup(bus).bootstrap()
    before = [await config_of(bus, config["name"]) for config in streams(Subjects())]
    reports = await Setup(bus).bootstrap()
    assert {(r.outcome, len(r.changed), len(r.drift)) for r in reports} == {
        (Outcome.UNCHANGED, 0, 0)
    }
    assert [await config_of(bus, config["name"]) for config in streams(Subjects())] == before


async def test_changed_settings_are_put_right_and_told(bus: Bus) -> None:
    await Setup(bus).bootstrap()
    right = await config_of(bus, EVT)
    await change(bus, EVT, max_age=10**9 * 3600, max_msgs=10, allow_direct=False, republish=None)
    report = of(await Setup(bus).bootstrap(), EVT)
    assert report.outcome == Outcome.UPDATED
    assert {d.setting: (d.was, d.should) for d in report.changed} == {
        "max_age": (10**9 * 3600, right["max_age"]),
        "max_msgs": (10, -1),
        "allow_direct": (False, True),
        "republish": (None, right["republish"]),
    }
    assert await config_of(bus, EVT) == right


async def test_what_operators_may_choose_is_left_alone(bus: Bus) -> None:
    await Setup(bus).bootstrap()
    await change(bus, EVT, description="ours", compression="s2")
    report = of(await Setup(bus).bootstrap(), EVT)
    assert report.outcome == Outcome.UNCHANGED
    assert (await config_of(bus, EVT))["description"] == "ours"


async def test_what_cannot_be_changed_is_drift_and_the_rest_is_put_right(bus: Bus) -> None:
    wrong = next(c for c in streams(Subjects()) if c["name"] == RES)
    wrong = {**wrong, "storage": "memory", "max_age": 10**9 * 3600}
    await JetStream(bus).api(f"STREAM.CREATE.{RES}", wrong)
    first = of(await Setup(bus).bootstrap(), RES)
    assert first.outcome == Outcome.UPDATED
    assert [d.setting for d in first.changed] == ["max_age"]
    (drift,) = first.drift
    assert (drift.setting, drift.was, drift.should) == ("storage", "memory", "file")
    assert "storage" in (drift.why or "")
    second = of(await Setup(bus).bootstrap(), RES)
    assert (second.outcome, second.changed, second.drift) == (Outcome.UNCHANGED, [], [drift])


async def test_replicas_are_left_as_they_are_unless_asked_for(bus: Bus) -> None:
    await Setup(bus).bootstrap()
    report = of(await Setup(bus).bootstrap(replicas=3), EVT)
    (drift,) = report.drift
    assert (drift.setting, drift.was, drift.should) == ("num_replicas", 1, 3)
    assert "non-clustered" in (drift.why or "")
    assert of(await Setup(bus).bootstrap(), EVT).drift == []


async def test_one_that_cannot_be_made_does_not_stop_the_others(
    start_nats_server: Callable[..., NatsServer], tmp_path: Path
) -> None:
    """Checkpoints and logs reserve 3 GiB; all others must be there on a small server too."""
    small = f'jetstream {{ store_dir: "{tmp_path}/small-store", max_file: 1500MB }}'
    async with opened_bus(start_nats_server(small, name="small").url) as bus:
        reports = await Setup(bus).bootstrap()
    failed = {r.name for r in reports if r.outcome == Outcome.FAILED}
    assert failed == {CKPT}
    assert "max_file_store" in (of(reports, CKPT).why or "")
    assert {r.outcome for r in reports if r.name not in failed} == {Outcome.CREATED}
    assert len(reports) == len(streams(Subjects()))


async def test_without_jetstream_it_says_so(start_nats_server: Callable[..., NatsServer]) -> None:
    server = start_nats_server(name="plain", jetstream=False)
    async with opened_bus(server.url) as bus:
        with pytest.raises(NotSetUp, match="-js"):
            await Setup(bus).bootstrap()


async def test_a_mailbox_is_made_once_and_put_right(bus: Bus) -> None:
    setup, js = Setup(bus), JetStream(bus)
    await setup.bootstrap()
    assert (await setup.add_node("n1")).outcome == Outcome.CREATED
    assert (await setup.add_node("n1")).outcome == Outcome.UNCHANGED
    wrong = {**mailbox(Subjects(), "n1"), "max_deliver": 2}
    await js.api(f"CONSUMER.CREATE.{CMD}.n1", {"stream_name": CMD, "config": wrong})
    report = await setup.add_node("n1")
    assert [(d.setting, d.was, d.should) for d in report.changed] == [("max_deliver", 2, 5)]
    found = (await js.api(f"CONSUMER.INFO.{CMD}.n1"))["config"]
    assert {key: found[key] for key in mailbox(Subjects(), "n1")} == mailbox(Subjects(), "n1")


async def test_a_mailbox_of_the_wrong_kind_is_drift(bus: Bus) -> None:
    await Setup(bus).bootstrap()
    wrong = {**mailbox(Subjects(), "n1"), "deliver_policy": "new"}
    await JetStream(bus).api(f"CONSUMER.CREATE.{CMD}.n1", {"stream_name": CMD, "config": wrong})
    (drift,) = (await Setup(bus).add_node("n1")).drift
    assert (drift.setting, drift.was, drift.should) == ("deliver_policy", "new", "all")


async def test_a_mailbox_before_bootstrap_says_what_to_do(bus: Bus) -> None:
    report = await Setup(bus).add_node("n1")
    assert report.outcome == Outcome.FAILED
    assert "wharfside bootstrap" in (report.why or "")


async def test_a_removed_node_leaves_no_mailbox_and_no_presence(bus: Bus) -> None:
    setup = Setup(bus)
    await setup.bootstrap()
    for node in ("n1", "n2"):
        await setup.add_node(node)
        await setup.add_carriage(node)
        await JetStream(bus).publish(node_key(node), encode(presence(node)))
    assert [r.outcome for r in await setup.remove_node("n1")] == [Outcome.REMOVED] * 3
    assert [status.node for status in await read_nodes(bus)] == ["n2"]
    assert await JetStream(bus).find(f"CONSUMER.INFO.{CMD}.n1") is None
    assert await JetStream(bus).find(f"CONSUMER.INFO.{CMD}.n2") is not None
    assert [r.outcome for r in await setup.remove_node("n1")] == [Outcome.ABSENT] * 3


@pytest.mark.parametrize("name", ["", "N1", "a.b", "a/b", "a*", ">", "a\n"])
async def test_what_is_no_name_never_reaches_the_server(bus: Bus, name: str) -> None:
    with pytest.raises(Invalid):
        await Setup(bus).add_node(name)
    with pytest.raises(Invalid):
        await Setup(bus).remove_node(name)
