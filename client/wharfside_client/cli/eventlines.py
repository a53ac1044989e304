"""An event as one line: when, where, what, and its facts in few words."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any

from wharfside_client.cli import words
from wharfside_client.cli.output import Output, clean
from wharfside_protocol.events import Event, EventType

_RED, _GREEN, _YELLOW, _DIM = "31", "32", "33", "2"
_TINTS: Mapping[str, str] = {
    EventType.CREATE_FAILED: _RED,
    EventType.START_FAILED: _RED,
    EventType.OOM: _RED,
    EventType.MONITOR_LOST: _RED,
    EventType.EVENT_MISSED: _RED,
    EventType.EVENTS_DROPPED: _RED,
    EventType.STARTED: _GREEN,
    EventType.RESUMED: _GREEN,
    EventType.RESTORED: _GREEN,
    EventType.CHECKPOINT_FAILED: _RED,
    EventType.UP: _GREEN,
    EventType.PAUSED: _YELLOW,
    EventType.STOPPING: _YELLOW,
    EventType.PRESSURE: _YELLOW,
    EventType.RESTARTING: _YELLOW,
    EventType.DRAINING: _YELLOW,
    EventType.DOWN: _YELLOW,
    EventType.DELETED: _DIM,
}
PLACE_WIDTH, TYPE_WIDTH = 20, 13
AUDITED = 3
"""So many records of an `audit` are in its line."""


class EventLines:
    """Prints events as they come; a line fits the terminal, and is whole in a pipe."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def tell(self, event: Event) -> None:
        time, place, type_, facts = event_words(event)
        line = f"{time}  {place:<{PLACE_WIDTH}}  {type_:<{TYPE_WIDTH}}  {facts}".rstrip()
        if self._output.terminal:
            width = shutil.get_terminal_size().columns
            line = line if len(line) <= width else line[: width - 1] + "…"
        self._output.tinted(line, self._tint(event))

    def _tint(self, event: Event) -> str | None:
        if event.type == EventType.EXITED:
            return None if event.data.get("exit_code") == 0 else _RED
        return _TINTS.get(event.type)


def event_words(event: Event) -> tuple[str, str, str, str]:
    """The four columns. Times are the node's, to the millisecond."""
    place = event.node if event.container is None else f"{event.node}/{event.container}"
    if event.process not in (None, "init"):
        place += f":{event.process}"
    facts = _FACTS.get(event.type, _first_facts)(event.data)
    told = " (told late)" if event.replayed else ""
    return event.occurred_at[11:23].rstrip("Z"), place, str(event.type), clean(facts + told)


def _exited(data: Mapping[str, Any]) -> str:
    code = data.get("exit_code")
    parts = [f"code {'unknown' if code is None else code}"]
    if data.get("oom_killed"):
        parts.append("oom-killed")
    elif data.get("reason") not in (None, "self"):
        parts.append(f"by {data['reason']}")
    if not data.get("time_known", True):
        parts.append("some time before")
    elif (duration := data.get("duration_us")) is not None:
        parts.append(f"after {words.span(duration / 1e6)}")
    return ", ".join(parts)


def _created(data: Mapping[str, Any]) -> str:
    return f"{data.get('runtime', '?')}, pid {data.get('pid', '?')}"


def _started(data: Mapping[str, Any]) -> str:
    return f"pid {data.get('pid', '?')}"


def _oom(data: Mapping[str, Any]) -> str:
    limit = data.get("limit_bytes")
    killed = f"{data.get('oom_kills_added', '?')} killed"
    return killed if limit is None else f"{killed}, limit {words.size(limit)}"


def _pressure(data: Mapping[str, Any]) -> str:
    begins = {"begins": "stalls on {}", "over": "stalls on {} no more"}
    words_ = begins.get(data.get("phase", ""), "still stalls on {}")
    stalled, window = (words.span(data.get(key, 0) / 1e6) for key in ("stalled_us", "window_us"))
    told = f"{words_.format(data.get('resource', '?'))}, {stalled} of {window}"
    used, limit = data.get("memory_bytes"), data.get("memory_limit_bytes")
    if used is None:
        return told
    return f"{told}, uses {words.size(used)}" + (f" of {words.size(limit)}" if limit else "")


def _stopping(data: Mapping[str, Any]) -> str:
    why = data.get("why", "command")
    asked = "" if why == "command" else f", {why}"
    return f"signal {data.get('signal', '?')}, grace {words.span(data.get('grace_s', 0.0))}{asked}"


def _restarting(data: Mapping[str, Any]) -> str:
    delay = data.get("delay_s")
    soon = "" if delay is None else f" in {words.span(delay)}"
    return f"run {data.get('next_run', '?')}{soon}, restart {data.get('attempt', '?')}"


def _not_restarting(data: Mapping[str, Any]) -> str:
    return str(data.get("why", ""))


def _failed(data: Mapping[str, Any]) -> str:
    error = data.get("error")
    return str(error.get("message", "")) if isinstance(error, Mapping) else ""


def _checkpointed(data: Mapping[str, Any]) -> str:
    stood = words.span(data.get("frozen_us", 0) / 1e6)
    ends = ", ends with it" if data.get("exit") else ""
    size = words.size(data.get("bytes"))
    return f"{data.get('checkpoint', '?')}, {size}, stood still for {stood}{ends}"


def _checkpoint_failed(data: Mapping[str, Any]) -> str:
    return f"{data.get('checkpoint', '?')}: {_failed(data)}"


def _restored(data: Mapping[str, Any]) -> str:
    origin = data.get("restored_from") or {}
    of = f"{origin.get('container', '?')} run {origin.get('run', '?')}"
    return f"from {origin.get('checkpoint', '?')} of {of}, pid {data.get('pid', '?')}"


def _signaled(data: Mapping[str, Any]) -> str:
    return f"signal {data.get('signal', '?')}"


def _attached(data: Mapping[str, Any]) -> str:
    who, peer = data.get("actor"), f"peer {data.get('peer', '?')}"
    return f"{who}, {peer}" if who else peer


def _snapshot(data: Mapping[str, Any]) -> str:
    count = data.get("containers", "?")
    return "1 container" if count == 1 else f"{count} containers"


def _audit(data: Mapping[str, Any]) -> str:
    """The first few; what was denied before what was done: `wharfside audit` has all."""
    records = [each for each in data.get("records", ()) if isinstance(each, Mapping)]
    records.sort(key=lambda each: each.get("outcome") != "denied")
    words = [_audited(each) for each in records[:AUDITED]]
    more = len(records) - len(words)
    return "; ".join(words) + (f"; {more} more" if more else "")


def _audited(record: Mapping[str, Any]) -> str:
    parts = [record.get("actor") or "?", record.get("op"), record.get("container")]
    outcome = record.get("outcome", "?")
    if outcome != "ok":
        count = record.get("count", 1)
        parts.append(outcome if count == 1 else f"{outcome} x{count}")
    return " ".join(str(part) for part in parts if part)


def _credentials(data: Mapping[str, Any]) -> str:
    what, path, at = (data.get(key, "?") for key in ("what", "path", "expires_at"))
    ends = "has expired" if data.get("within_s") == 0 else f"expires {at[:16]}Z"
    return f"{what} {path} {ends}"


def _first_facts(data: Mapping[str, Any]) -> str:
    plain = {k: v for k, v in data.items() if isinstance(v, str | int | float)}
    return " ".join(f"{key}={value}" for key, value in list(plain.items())[:3])


_FACTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    EventType.CREATED: _created,
    EventType.STARTED: _started,
    EventType.EXEC_STARTED: _started,
    EventType.REATTACHED: _started,
    EventType.EXITED: _exited,
    EventType.OOM: _oom,
    EventType.PRESSURE: _pressure,
    EventType.ATTACHED: _attached,
    EventType.DETACHED: _attached,
    EventType.SIGNALED: _signaled,
    EventType.SNAPSHOT: _snapshot,
    EventType.CREDENTIALS_EXPIRING: _credentials,
    EventType.STOPPING: _stopping,
    EventType.RESTARTING: _restarting,
    EventType.NOT_RESTARTING: _not_restarting,
    EventType.CHECKPOINTED: _checkpointed,
    EventType.CHECKPOINT_FAILED: _checkpoint_failed,
    EventType.RESTORED: _restored,
    EventType.CREATE_FAILED: _failed,
    EventType.START_FAILED: _failed,
    EventType.AUDIT: _audit,
}
