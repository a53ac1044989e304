"""What operators type, as values."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from wharfside_client.cli import parse
from wharfside_protocol.times import from_timestamp

GOOD: list[tuple[Callable[[str], Any], str, Any]] = [
    (parse.target, "n1/web", ("n1", "web")),
    (parse.place, "n1", ("n1", None)),
    (parse.place, "n1/web", ("n1", "web")),
    (parse.size, "32m", 32 * 1024 * 1024),
    (parse.size, "1.5G", 1536 * 1024 * 1024),
    (parse.size, "4096", 4096),
    (parse.size, "10MiB", 10 * 1024 * 1024),
    (parse.duration, "45", 45.0),
    (parse.duration, "1h30m", 5400.0),
    (parse.duration, "250ms", 0.25),
    (parse.cpu_percent, "1.5", 150),
    (parse.cpu_percent, "0.01", 1),
    (parse.variable, "A=b=c", ("A", "b=c")),
    (parse.variable, "A=", ("A", "")),
    (parse.label, "zone=a", ("zone", "a")),
    (parse.label, "alone", ("alone", "")),
    (parse.user, "1000", (1000, 0)),
    (parse.user, "1000:100", (1000, 100)),
    (parse.mount, "/a:/b", ("/a", "/b", True)),
    (parse.mount, "/a:/b:rw", ("/a", "/b", False)),
    (parse.mount, "/a:/b:ro", ("/a", "/b", True)),
    (parse.network, "host", ("host", None)),
    (parse.network, "/run/netns/x", ("path", "/run/netns/x")),
    (parse.restart, "always", ("always", None)),
    (parse.restart, "on-failure:3", ("on-failure", 3)),
    (parse.since, "1234", 1234),
    (parse.since, "2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
    (parse.moment, "2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
    (parse.moment, "1700000000", "2023-11-14T22:13:20.000000000Z"),
    (parse.moment, "1700000000.25", "2023-11-14T22:13:20.250000000Z"),
    (parse.moment, "2026-01-31T09:00:00.123456789Z", "2026-01-31T09:00:00.123456789Z"),
    (parse.moment, "2026-01-31T09:00:00+02:00", "2026-01-31T07:00:00.000000Z"),
    (parse.tail, "all", None),
    (parse.tail, "0", 0),
    (parse.tail, "100", 100),
    (parse.detach_keys, "ctrl-p,ctrl-q", b"\x10\x11"),
    (parse.detach_keys, "", b""),
]

BAD: list[tuple[Callable[[str], Any], str]] = [
    (parse.target, "n1"),
    (parse.target, "n1/"),
    (parse.target, "n1/a/b"),
    (parse.target, "N1/a"),
    (parse.target, "n1/../x"),
    (parse.place, ""),
    (parse.size, "32x"),
    (parse.size, ""),
    (parse.size, "-1"),
    (parse.duration, "10 minutes"),
    (parse.duration, "m"),
    (parse.cpu_percent, "0"),
    (parse.cpu_percent, "all"),
    (parse.variable, "=x"),
    (parse.user, "root"),
    (parse.user, "1:wheel"),
    (parse.mount, "/a"),
    (parse.mount, "a:/b"),
    (parse.mount, "/a:/b:wr"),
    (parse.network, "bridge"),
    (parse.restart, "sometimes"),
    (parse.restart, "always:3"),
    (parse.since, "yesterday"),
    (parse.since, "2026-13-31T09:00:00Z"),
    (parse.moment, "now"),
    (parse.moment, "2026-02-30"),
    (parse.tail, "-1"),
    (parse.tail, "many"),
    (parse.tail, "9" * 30),
    (parse.detach_keys, "ctrl-P"),
]


@pytest.mark.parametrize(("read", "text", "value"), GOOD)
def test_reads(read: Callable[[str], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(("read", "text"), BAD)
def test_refuses_with_what_to_write_instead(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ValueError, match=r".{8,}"):
        read(text)


def test_a_variable_without_a_value_is_taken_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HERE", "yes")
    assert parse.variable("FROM_HERE") == ("FROM_HERE", "yes")
    monkeypatch.delenv("FROM_HERE")
    assert parse.variable("FROM_HERE") == ("FROM_HERE", None)


def test_since_a_while_ago_is_a_time_before_now() -> None:
    earlier, later = parse.since("2h ago"), parse.since("1h")
    assert isinstance(earlier, str) and isinstance(later, str)
    between_s = (from_timestamp(later) - from_timestamp(earlier)) / 1e9
    assert between_s == pytest.approx(3600, abs=5)


def test_a_time_without_a_zone_is_of_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-2")
    time.tzset()
    try:
        assert parse.moment("2026-01-31") == "2026-01-30T22:00:00.000000Z"
        assert parse.moment("2026-01-31T09:30") == "2026-01-31T07:30:00.000000Z"
    finally:
        monkeypatch.undo()
        time.tzset()
