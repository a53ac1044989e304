"""The pages name what is there: rooms, files, tests; nothing that has gone, or was never here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
PACKAGES = ("protocol/wharfside_protocol", "client/wharfside_client", "agent/wharfside_agent")
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
SHORT = {package.partition("/")[0]: package for package in PACKAGES}
"""`client/auth/` in a page is the package's folder."""

OF_THE_READER = {"orchestrator.py"}
"""Files that an example makes."""


def house() -> str:
    """The map in architecture.md."""
    page = (TOP / "docs" / "architecture.md").read_text()
    return page.partition("## The house")[2].partition("## ")[0]


def rooms() -> list[str]:
    """Every package of the three, and what lies beside the agent's rooms."""
    found = [
        path.parent.name for package in PACKAGES for path in (TOP / package).rglob("*/__init__.py")
    ]
    beside = (TOP / PACKAGES[2]).glob("*.py")
    return sorted({*found, *(path.stem for path in beside if not path.stem.startswith("__"))})


def test_the_house_has_every_room() -> None:
    words = set(re.findall(r"[\w-]+", house()))
    assert len(rooms()) > 30
    assert [room for room in rooms() if room not in words] == []


def test_the_house_has_no_room_that_is_gone() -> None:
    named = re.findall(r"(?m)^ +([a-z_]+)/ ", house())
    assert len(named) > 20
    assert [name for name in named if name not in rooms()] == []


def test_every_file_says_what_it_is_for() -> None:
    page = (TOP / "docs" / "map.md").read_text()
    assert page.count(".py` | ") > 400
    assert re.findall(r"(?m)^\| `(\S+)` \|  \|$", page) == []


def files() -> list[str]:
    """What the project consists of, and not what lies beside it."""
    rooms = ("agent", "client", "deploy", "docs", "protocol", "tests")
    found = [path for room in rooms for path in (TOP / room).rglob("*.*")]
    return [f"/{path.relative_to(TOP)}" for path in [*found, *TOP.glob("*.*")]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_file_that_a_page_names_is_there(page: Path) -> None:
    text, there = page.read_text(), files()
    named = re.findall(r"`([\w./-]+\.(?:py|md))(?:::\w+)?`", text)
    named += re.findall(r"\]\(([\w./-]+\.\w+)(?:#[\w-]*)?\)", text)

    def is_there(path: str) -> bool:
        first, _, rest = path.partition("/")
        told = {f"/{path}", f"/{SHORT.get(first, first)}/{rest}"}
        return any(file.endswith(tuple(told)) for file in there)

    missing = {path for path in named if not is_there(path.removeprefix("../"))}
    assert missing - OF_THE_READER == set()


def test_nothing_refers_to_a_page_that_is_not_here() -> None:
    sources = [path for package in PACKAGES for path in (TOP / package).rglob("*.py")]
    told = [path.name for path in sources if re.search(r"\bDESIGN\b", path.read_text())]
    assert told == []
    numbered = {
        number for path in sources for number in re.findall(r"\(rule (\d+)\)", path.read_text())
    }
    rules = (TOP / "docs" / "architecture.md").read_text().partition("## The rules")[2]
    assert numbered and numbered <= set(re.findall(r"(?m)^(\d+)\. ", rules.partition("## ")[0]))


def anchors(page: str) -> set[str]:
    """Of each heading, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


WHOLE = [page for page in PAGES if not page.name.endswith(".in.md")]
"""The others are put into protocol.md, with its headings."""


@pytest.mark.parametrize("page", WHOLE, ids=lambda page: page.name)
def test_a_heading_that_a_page_leads_to_is_there(page: Path) -> None:
    text = page.read_text()
    missing = []
    for target, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", text):
        there = text if not target else (page.parent / target).read_text()
        if anchor not in anchors(there):
            missing.append(f"{target}#{anchor}")
    assert missing == []
