"""The configuration read anew: refused whole, or taken over as far as it can be while we run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from wharfside_agent.composition.bus import bus_options, check_files
from wharfside_agent.composition.parts import Parts
from wharfside_agent.errors import SettingsError
from wharfside_agent.live import compare
from wharfside_agent.logs import configure_logs
from wharfside_agent.settings import Settings

log = structlog.get_logger(__name__)

MIB = 1024 * 1024


def _nats(parts: Parts, settings: Settings) -> None:
    parts.bus.renew(bus_options(settings))
    parts.credentials.reread()


def _trust(parts: Parts, settings: Settings) -> None:
    parts.intake.trust_by(parts.trust_of(settings))


def _policy(parts: Parts, settings: Settings) -> None:
    parts.machine.rules.policy = settings.policy


def _capacity(parts: Parts, settings: Settings) -> None:
    parts.capacity.settings = settings.capacity


def _limits(parts: Parts, settings: Settings) -> None:
    limits = settings.limits
    parts.lanes.deepen(limits.lane_depth)
    parts.bus.limit(limits.requests)
    parts.mailroom.limit(limits.mailbox)
    _sessions(parts, settings)
    _archives(parts, settings)


def _sessions(parts: Parts, settings: Settings) -> None:
    most, sessions = settings.limits.sessions, settings.sessions
    parts.sessions.limit(most=most, window=sessions.window, idle_s=sessions.idle_s)


def _archives(parts: Parts, settings: Settings) -> None:
    parts.archives.limit(settings.limits.archives, settings.disk.keep_free_mib * MIB)


def _relist(parts: Parts, settings: Settings) -> None:
    parts.relist.pace(settings.relist.every_s, settings.relist.patience_s)


def _pressure(parts: Parts, settings: Settings) -> None:
    parts.pressure.listen(settings.pressure.shares, settings.pressure.again_s)


def _checkpoints(parts: Parts, settings: Settings) -> None:
    parts.images.max_bytes = settings.checkpoints.max_mib * MIB


def _machine(parts: Parts, settings: Settings) -> None:
    parts.machine.adjust(settings)


TAKE_OVER: Mapping[str, Callable[[Parts, Settings], None]] = {
    "node": lambda parts, settings: parts.presence.relabel(settings.node.labels),
    "nats": _nats,
    "trust": _trust,
    "policy": _policy,
    "capacity": _capacity,
    "audit": lambda parts, settings: parts.audit.want(settings.audit.events),
    "runtime": _machine,
    "limits": _limits,
    "sessions": _sessions,
    "relist": _relist,
    "pressure": _pressure,
    "disk": _archives,
    "checkpoints": _checkpoints,
    "snapshot": lambda parts, settings: parts.snapshots.pace(settings.snapshot.every_s),
    "logs": _machine,
    "log": lambda _parts, settings: configure_logs(settings.log),
}
"""By group: whoever keeps one of its live settings is given all of them."""


class Reload:
    """`load` reads the configuration; `report` is the file where what became of it is told."""

    def __init__(self, parts: Parts, load: Callable[[], Settings], report: Path) -> None:
        self._parts = parts
        self._load = load
        self._report = report
        self._settings = parts.settings

    def run(self) -> None:
        """Once. The file's whole content counts or nothing of it."""
        try:
            found = compare(self._settings, self._load())
            check_files(bus_options(found.settings))
        except SettingsError as error:
            log.error("reload-refused", error=str(error), next="the settings before stay")
            self._tell({"refused": str(error)})
            return
        self._settings = found.settings
        for group in dict.fromkeys(key.partition(".")[0] for key in found.live):
            TAKE_OVER[group](self._parts, found.settings)
        if found.restart:
            log.warning("restart-needed", settings=found.restart, next="restart the agent")
        log.info("reloaded", changed=found.live)
        self._tell({"changed": found.live, "restart": found.restart})

    def _tell(self, outcome: Mapping[str, object]) -> None:
        """By rename: who waits for it reads it whole."""
        new = self._report.with_suffix(".new")
        try:
            new.write_text(json.dumps(outcome) + "\n")
            new.rename(self._report)
        except OSError as error:
            log.warning("reload-not-reported", error=str(error))
