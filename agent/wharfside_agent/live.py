"""Which settings a running agent takes over, and what a changed file means for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from wharfside_agent.settings import Settings

LIVE = frozenset(
    {
        "node.labels",
        "nats.servers",
        "nats.creds",
        "nats.nkey_seed",
        "nats.user",
        "nats.password",
        "nats.password_file",
        "nats.ca",
        "nats.certificate",
        "nats.key",
        "nats.ping_interval_s",
        "nats.unacked_s",
        "nats.unanswered_s",
        "nats.spread_s",
        "trust.keys",
        "trust.require",
        "audit.events",
        "policy.everybody",
        "policy.roles",
        "policy.actors",
        "capacity.enforce",
        "capacity.total",
        "capacity.reserve",
        "capacity.overcommit",
        "capacity.unlimited",
        "capacity.containers",
        "runtime.bundle_roots",
        "runtime.mount_roots",
        "limits.lane_depth",
        "limits.requests",
        "limits.mailbox",
        "limits.sessions",
        "limits.archives",
        "sessions.idle_s",
        "sessions.window",
        "relist.every_s",
        "relist.patience_s",
        "pressure.memory_percent",
        "pressure.io_percent",
        "pressure.cpu_percent",
        "pressure.again_s",
        "disk.keep_free_mib",
        "checkpoints.max_mib",
        "snapshot.every_s",
        "logs.max_bytes",
        "logs.max_files",
        "logs.max_runs",
        "logs.max_execs",
        "log.level",
        "log.format",
    }
)
"""The others need a restart, which touches no container. docs/operations.md has the same table."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Keys as `group.field`, sorted. `settings` are those to go on with."""

    live: tuple[str, ...]
    restart: tuple[str, ...]
    settings: Settings


def keys_of(settings: Settings) -> dict[str, object]:
    """Every setting by its key."""
    return {
        f"{group}.{field}": getattr(getattr(settings, group), field)
        for group in settings.__struct_fields__
        for field in getattr(settings, group).__struct_fields__
    }


def compare(old: Settings, new: Settings) -> Difference:
    """What `new` changes: what is not live stays as in `old`."""
    before, after = keys_of(old), keys_of(new)
    changed = sorted(key for key in after if after[key] != before[key])
    live = tuple(key for key in changed if key in LIVE)
    restart = tuple(key for key in changed if key not in LIVE)
    return Difference(live, restart, _taken_over(old, live, after))


def _taken_over(old: Settings, live: tuple[str, ...], after: dict[str, object]) -> Settings:
    groups: dict[str, dict[str, object]] = {}
    for key in live:
        group, field = key.split(".")
        groups.setdefault(group, {})[field] = after[key]
    return msgspec.structs.replace(
        old,
        **{
            group: msgspec.structs.replace(getattr(old, group), **fields)
            for group, fields in groups.items()
        },
    )
