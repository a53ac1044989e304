"""What a changed configuration means for an agent that runs."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from wharfside_agent.composition.reload import TAKE_OVER
from wharfside_agent.live import LIVE, compare, keys_of
from wharfside_agent.settings import LogSettings, PathSettings, RelistSettings, Settings

OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


def test_every_live_setting_is_one_and_somebody_takes_it_over() -> None:
    assert set(keys_of(Settings())) >= LIVE
    assert {key.partition(".")[0] for key in LIVE} == set(TAKE_OVER)


def test_the_handbook_has_the_same_table() -> None:
    """Its second column is `yes`, `no`, or which of a group's settings are not."""
    table = OPERATIONS.read_text().partition("| Settings | Live |")[2].partition("\n\n")[0]
    live: set[str] = set()
    for line in table.splitlines()[2:]:
        named, answer = line.strip("| ").split(" | ")[:2]
        if answer.startswith("yes"):
            live |= _named(named)
    assert live == LIVE


def _named(text: str) -> set[str]:
    """`group.*` is all of a group; what follows `but` is left out."""
    wanted, _, but = text.partition(" but ")
    left_out = set(re.findall(r"`([^`]+)`", but))
    found: set[str] = set()
    for name in re.findall(r"`([^`]+)`", wanted):
        stem = name.removesuffix("*")
        every = {key for key in keys_of(Settings()) if key.startswith(stem)}
        found |= every if name.endswith("*") else {name}
    return found - left_out


def test_what_is_live_is_taken_over_and_the_rest_stays() -> None:
    old = Settings()
    new = msgspec.structs.replace(
        old,
        log=LogSettings(level="debug"),
        paths=PathSettings(state_dir="/elsewhere/{node}"),
        relist=RelistSettings(every_s=5.0),
    )
    found = compare(old, new)
    assert found.live == ("log.level", "relist.every_s")
    assert found.restart == ("paths.state_dir",)
    assert found.settings.log.level == "debug"
    assert found.settings.relist.every_s == 5.0
    assert found.settings.paths == old.paths


def test_nothing_has_changed() -> None:
    settings = Settings()
    found = compare(settings, settings)
    assert (found.live, found.restart) == ((), ())
    assert found.settings == settings
