"""The guide for writers of orchestrators names what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from wharfside_client.fleet import SILENT_S
from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.event_facts import PressurePhase, WhyStopping
from wharfside_protocol.events import EventType
from wharfside_protocol.exits import ExitReason

TOP = Path(__file__).resolve().parents[3]
GUIDE = (TOP / "docs" / "orchestrators.md").read_text()


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([a-z-]+)`", text))


def test_every_error_says_whether_to_send_it_again() -> None:
    rows = {
        word for row in re.findall(r"^\| (.*?) \|", section("Errors"), re.M) for word in words(row)
    }
    assert rows == {str(code) for code in ErrorCode}


def test_the_events_are_there() -> None:
    rows = re.findall(r"^\| [^|]* \| (.*?) \|$", section("What tells what"), re.M)
    named = {word for row in rows for word in words(row)}
    assert {"started", "exited", "deleted", "oom", "stopping"} <= named
    others = {"result", "process", "init", "why", "seq"}
    known = {str(each) for each in (*EventType, *WhyStopping, *PressurePhase)}
    assert named - others <= known


def test_the_reasons_of_an_exit_are_all() -> None:
    assert {str(reason) for reason in ExitReason} <= words(section("What tells what"))


def test_the_files_it_names_are_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", GUIDE) + re.findall(r"`((?:docs|tests)/[\w/.]+)`", GUIDE)
    for link in links:
        assert (TOP / "docs" / link).exists() or (TOP / link).exists(), link


def test_the_wait_is_that_of_the_client() -> None:
    assert f"silent ({SILENT_S} s after the last put)" in GUIDE
