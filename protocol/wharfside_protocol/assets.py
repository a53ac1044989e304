"""What Wharfside keeps in JetStream: streams, buckets and mailboxes, in one place.

The settings were checked against a real server; what each is for stands in
docs/protocol.md. Durations are nanoseconds, as in the server's API.
"""

from __future__ import annotations

from typing import Any

from wharfside_protocol.subjects import Subjects, check_name

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR
GIBIBYTE = 1 << 30

CMD, EVT, RES, CKPT, LOGS, ADV = (
    "WHARFSIDE_CMD",
    "WHARFSIDE_EVT",
    "WHARFSIDE_RES",
    "WHARFSIDE_CKPT",
    "WHARFSIDE_LOGS",
    "WHARFSIDE_ADV",
)
NODES_BUCKET = "WHARFSIDE_NODES"
CONTAINERS_BUCKET = "WHARFSIDE_CONTAINERS"


def streams(subjects: Subjects, replicas: int = 1) -> list[dict[str, Any]]:
    """The configuration of every stream and bucket, ready for STREAM.CREATE."""
    common = {"retention": "limits", "storage": "file", "num_replicas": replicas}
    return [common | config for config in _message_streams(subjects.prefix)] + [
        common | config for config in _buckets(subjects.prefix)
    ]


def _message_streams(prefix: str) -> list[dict[str, Any]]:
    return [
        _commands(prefix),
        _events(prefix),
        _results(prefix),
        _checkpoints(prefix),
        _logs(prefix),
        _advisories(),
    ]


def _commands(prefix: str) -> dict[str, Any]:
    """The mailboxes of the nodes."""
    return {
        "name": CMD,
        "subjects": [f"{prefix}.cmd.>"],
        "max_age": DAY,
        "allow_msg_ttl": True,
        "duplicate_window": 2 * MINUTE,
        "max_consumers": 20_000,
        "deny_delete": True,
    }


def _events(prefix: str) -> dict[str, Any]:
    """What happened, kept for whoever was away."""
    return {
        "name": EVT,
        "subjects": [f"{prefix}.evt.>"],
        "max_age": 7 * DAY,
        "duplicate_window": 5 * MINUTE,
        "allow_direct": True,
        "deny_delete": True,
        "deny_purge": True,
        "max_consumers": 5_000,
        "republish": {"src": f"{prefix}.evt.>", "dest": f"{prefix}.live.evt.>"},
    }


def _results(prefix: str) -> dict[str, Any]:
    """What became of durable commands."""
    return {
        "name": RES,
        "subjects": [f"{prefix}.res.*.*.accepted", f"{prefix}.res.*.*.result"],
        "max_age": 2 * DAY,
        "duplicate_window": 2 * MINUTE,
        "allow_direct": True,
        "deny_delete": True,
        "deny_purge": True,
        "republish": {"src": f"{prefix}.res.>", "dest": f"{prefix}.live.res.>"},
    }


def _checkpoints(prefix: str) -> dict[str, Any]:
    """Checkpoints on their way between nodes."""
    return {
        "name": CKPT,
        "subjects": [f"{prefix}.ckpt.>"],
        "max_age": DAY,
        "max_bytes": 2 * GIBIBYTE,
        # A sender keeps a window far below this, and is asked again for what is gone;
        # with "new" a day's migrations would fill it, and stop the next one.
        "discard": "old",
        "duplicate_window": 2 * MINUTE,
        "max_consumers": 20_000,
    }


def _logs(prefix: str) -> dict[str, Any]:
    """Output that is shipped."""
    return {
        "name": LOGS,
        "subjects": [f"{prefix}.log.>"],
        "max_age": DAY,
        "max_bytes": GIBIBYTE,
        "discard": "old",
        "duplicate_window": 2 * MINUTE,
        "allow_direct": True,
        "deny_delete": True,
    }


def _advisories() -> dict[str, Any]:
    """The dead letters: what the server says of commands that nobody took."""
    return {
        "name": ADV,
        "subjects": [
            f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{CMD}.>",
            f"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.{CMD}.>",
        ],
        "max_age": 7 * DAY,
    }


def _buckets(prefix: str) -> list[dict[str, Any]]:
    """KV buckets, made as streams: the KV helper would allow rollups and forbid direct gets."""
    common = {
        "max_msgs_per_subject": 1,
        "discard": "new",
        "allow_direct": True,
        "allow_rollup_hdrs": False,
        "deny_delete": True,
        "duplicate_window": 2 * MINUTE,
    }
    return [
        common
        | {
            "name": f"KV_{bucket}",
            "subjects": [f"$KV.{bucket}.>"],
            "allow_msg_ttl": ttl,
            "republish": {"src": f"$KV.{bucket}.>", "dest": f"{prefix}.kv.{name}.>"},
        }
        for bucket, name, ttl in (
            (NODES_BUCKET, "nodes", False),
            (CONTAINERS_BUCKET, "containers", True),
        )
    ]


def mailbox(subjects: Subjects, node: str) -> dict[str, Any]:
    """The durable pull consumer of one node on WHARFSIDE_CMD; R1 also in a cluster."""
    return {
        "durable_name": check_name(node, "node"),
        "name": node,
        "filter_subject": subjects.commands_of(node),
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_wait": 30 * SECOND,
        "max_deliver": 5,
        "max_ack_pending": 64,
        "num_replicas": 1,
    }


def carriage(subjects: Subjects, node: str) -> dict[str, Any]:
    """The durable pull consumer of one node on WHARFSIDE_CKPT; R1 also in a cluster.

    Without acks: whoever needs an answer says its word again, and an image is asked for from
    where it stopped. Acks would cost as many messages as the image has pieces.
    """
    return {
        "durable_name": check_name(node, "node"),
        "name": node,
        "filter_subject": subjects.carriages_to(node),
        "ack_policy": "none",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "num_replicas": 1,
    }


def orchestrator(subjects: Subjects, name: str) -> dict[str, Any]:
    """The durable pull consumer of one orchestrator on WHARFSIDE_EVT: every event that is kept,
    each until it is acked; as many replicas as the stream has."""
    return {
        "durable_name": check_name(name, "user"),
        "name": name,
        "filter_subject": f"{subjects.prefix}.evt.>",
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_wait": 30 * SECOND,
        "max_ack_pending": 1000,
        "num_replicas": 0,
    }


def node_key(node: str) -> str:
    """The subject of a node's presence in its bucket."""
    return f"$KV.{NODES_BUCKET}.{check_name(node, 'node')}"


def container_key(node: str, container: str) -> str:
    """The subject of a container's projection in its bucket."""
    return (
        f"$KV.{CONTAINERS_BUCKET}.{check_name(node, 'node')}.{check_name(container, 'container')}"
    )
