"""Streams, buckets and mailboxes: the settings that were checked against a real server."""

from __future__ import annotations

from typing import Any

import pytest

from wharfside_protocol.assets import (
    CONTAINERS_BUCKET,
    NODES_BUCKET,
    carriage,
    container_key,
    mailbox,
    node_key,
    streams,
)
from wharfside_protocol.errors import Invalid
from wharfside_protocol.subjects import Subjects

SECOND = 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND

BUCKET = {
    "max_msgs_per_subject": 1,
    "discard": "new",
    "allow_direct": True,
    "allow_rollup_hdrs": False,
    "deny_delete": True,
    "duplicate_window": 2 * MINUTE,
}
EXPECTED: dict[str, dict[str, Any]] = {
    "WHARFSIDE_CMD": {
        "subjects": ["wharfside.v1.cmd.>"],
        "max_age": DAY,
        "allow_msg_ttl": True,
        "duplicate_window": 2 * MINUTE,
        "max_consumers": 20_000,
        "deny_delete": True,
    },
    "WHARFSIDE_EVT": {
        "subjects": ["wharfside.v1.evt.>"],
        "max_age": 7 * DAY,
        "duplicate_window": 5 * MINUTE,
        "allow_direct": True,
        "deny_delete": True,
        "deny_purge": True,
        "max_consumers": 5_000,
        "republish": {"src": "wharfside.v1.evt.>", "dest": "wharfside.v1.live.evt.>"},
    },
    "WHARFSIDE_RES": {
        "subjects": ["wharfside.v1.res.*.*.accepted", "wharfside.v1.res.*.*.result"],
        "max_age": 48 * HOUR,
        "duplicate_window": 2 * MINUTE,
        "allow_direct": True,
        "deny_delete": True,
        "deny_purge": True,
        "republish": {"src": "wharfside.v1.res.>", "dest": "wharfside.v1.live.res.>"},
    },
    "WHARFSIDE_CKPT": {
        "subjects": ["wharfside.v1.ckpt.>"],
        "max_age": DAY,
        "max_bytes": 2 * 2**30,
        "discard": "old",
        "duplicate_window": 2 * MINUTE,
        "max_consumers": 20_000,
    },
    "WHARFSIDE_LOGS": {
        "subjects": ["wharfside.v1.log.>"],
        "max_age": DAY,
        "max_bytes": 2**30,
        "discard": "old",
        "duplicate_window": 2 * MINUTE,
        "allow_direct": True,
        "deny_delete": True,
    },
    # our own commands' dead letters alone: the advisories of other streams are not ours
    "WHARFSIDE_ADV": {
        "subjects": [
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.WHARFSIDE_CMD.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.WHARFSIDE_CMD.>",
        ],
        "max_age": 7 * DAY,
    },
    "KV_WHARFSIDE_NODES": BUCKET
    | {
        "subjects": ["$KV.WHARFSIDE_NODES.>"],
        "allow_msg_ttl": False,
        "republish": {"src": "$KV.WHARFSIDE_NODES.>", "dest": "wharfside.v1.kv.nodes.>"},
    },
    "KV_WHARFSIDE_CONTAINERS": BUCKET
    | {
        "subjects": ["$KV.WHARFSIDE_CONTAINERS.>"],
        "allow_msg_ttl": True,
        "republish": {"src": "$KV.WHARFSIDE_CONTAINERS.>", "dest": "wharfside.v1.kv.containers.>"},
    },
}


@pytest.mark.parametrize("replicas", [1, 3])
def test_every_stream_and_bucket_just_so(replicas: int) -> None:
    made = {config["name"]: config for config in streams(Subjects(), replicas)}
    common = {"retention": "limits", "storage": "file", "num_replicas": replicas}
    assert made == {name: common | {"name": name} | settings for name, settings in EXPECTED.items()}


def test_another_prefix_moves_our_subjects_and_no_others() -> None:
    for config in streams(Subjects("acme.eu")):
        for subject in config["subjects"]:
            assert subject.startswith(("acme.eu.", "$KV.WHARFSIDE_", "$JS.EVENT.ADVISORY."))
        assert config.get("republish", {"dest": "acme.eu."})["dest"].startswith("acme.eu.")


def test_no_stream_captures_rpc_or_what_it_republishes() -> None:
    # a stream over an rpc subject would answer the caller with its own PubAck
    for config in streams(Subjects()):
        for subject in config["subjects"]:
            for foreign in ("rpc", "live", "progress", "io", "kv"):
                assert not subject.startswith(f"wharfside.v1.{foreign}.")
            assert subject not in (">", "wharfside.v1.>", "wharfside.>")


def test_what_the_server_itself_demands() -> None:
    for config in streams(Subjects()):
        # a window longer than max_age is refused
        assert config.get("duplicate_window", 0) <= config.get("max_age", 7 * DAY)
        # rollups would let one node's header wipe a bucket
        assert not config.get("allow_rollup_hdrs")
        # left out, the server stops at 1,000 consumers: a mailbox a node needs a number
        if config["name"] in ("WHARFSIDE_CMD", "WHARFSIDE_CKPT"):
            assert config["max_consumers"] > 1_000


def test_the_mailbox_of_a_node() -> None:
    assert mailbox(Subjects(), "n1") == {
        "durable_name": "n1",
        "name": "n1",
        "filter_subject": "wharfside.v1.cmd.n1.>",
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_wait": 30 * SECOND,
        "max_deliver": 5,
        "max_ack_pending": 64,
        "num_replicas": 1,
    }


def test_the_carriage_of_a_node() -> None:
    made = carriage(Subjects(), "n1")
    assert made["filter_subject"] == "wharfside.v1.ckpt.*.n1.>"
    assert (made["name"], made["ack_policy"], made["num_replicas"]) == ("n1", "none", 1)


def test_the_keys_of_the_buckets() -> None:
    assert node_key("n1") == f"$KV.{NODES_BUCKET}.n1" == "$KV.WHARFSIDE_NODES.n1"
    assert container_key("n1", "c1") == f"$KV.{CONTAINERS_BUCKET}.n1.c1"
    for bad in ("", "a.b", ">", "*", "_node", "A", "a\n"):
        with pytest.raises(Invalid):
            node_key(bad)
        with pytest.raises(Invalid):
            mailbox(Subjects(), bad)
        with pytest.raises(Invalid):
            container_key("n1", bad)
        with pytest.raises(Invalid):
            container_key(bad, "c1")
