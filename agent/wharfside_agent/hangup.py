"""`wharfside-agent reload`: SIGHUP to the agent of these settings, and what it says came of it."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from asyncinotify import Inotify, Mask

from wharfside_agent.core.placement import Places
from wharfside_agent.errors import StartError
from wharfside_agent.host import lock_holder

ANSWER_S = 10.0


class NotReloaded(StartError):
    """No agent took the settings over; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Keys as `group.field`: what is in use now, and what waits for a restart."""

    changed: tuple[str, ...]
    restart: tuple[str, ...]


def ask_to_reload(places: Places) -> Reloaded:
    """Blocks until the agent has answered, ANSWER_S at most.

    Raises:
        NotReloaded: no agent runs there, it refuses, or it does not answer.
    """
    if (pid := lock_holder(places.lock)) is None:
        raise NotReloaded(
            f"no agent works on {places.state_dir}: nothing to reload, it reads the file when it "
            "starts"
        )
    with Inotify(sync_timeout=ANSWER_S) as inotify:
        inotify.add_watch(places.reloaded.parent, Mask.MOVED_TO)
        try:
            os.kill(pid, signal.SIGHUP)
        except OSError as error:
            raise NotReloaded(f"the agent (pid {pid}): {error.strerror}; run as root?") from error
        _await_report(inotify, places.reloaded, pid)
    told = json.loads(places.reloaded.read_text())
    if "refused" in told:
        raise NotReloaded(f"{told['refused']}; the agent goes on with the settings before")
    return Reloaded(tuple(told["changed"]), tuple(told["restart"]))


def _await_report(inotify: Inotify, report: Path, pid: int) -> None:
    while (event := inotify.sync_get()) is not None:
        if str(event.name) == report.name:
            return
    raise NotReloaded(f"the agent (pid {pid}) said nothing within {ANSWER_S:g} s; see its log")
