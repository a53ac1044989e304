"""What `--help` shows of every command, in a terminal of 80 columns."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest
from typer.main import get_command

from wharfside_client.cli.help import SECTIONS
from wharfside_client.cli.main import make_app

APP = get_command(make_app())


def names(command: Any, name: str = "") -> Iterator[str]:
    yield name
    for word, each in (getattr(command, "commands", None) or {}).items():
        yield from names(each, f"{name} {word}".strip())


def shown(name: str) -> str:
    told, words = io.StringIO(), [*name.split(), "--help"]
    with redirect_stdout(told):
        assert APP.main(words, prog_name="wharfside", standalone_mode=False) in (0, None)
    return told.getvalue()


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("name", list(names(APP)))
def test_a_page_is_for_people(name: str) -> None:
    """It fits, it is cut nowhere, and names no type of Python's."""
    page = shown(name)
    assert max(map(len, page.splitlines())) <= 80
    assert page.startswith(f"Usage: wharfside {name}".rstrip())
    assert not re.search(r"<\w|[a-z]\.\.\.$", page, re.M), page
    assert not re.search(r"\[\[|\{", page.split("\n\n")[0]), page


def test_every_command_stands_in_one_section() -> None:
    listed = [name for words in SECTIONS.values() for name in words.split()]
    assert sorted(listed) == sorted(APP.commands)  # type: ignore[attr-defined]
    assert all(re.search(rf"^  {name} +\S", shown(""), re.M) for name in listed)


def test_the_flags_of_all_are_told_once() -> None:
    assert "NATS URLs, comma-separated" in shown("")
    page = shown("nodes add")
    assert "NATS URLs" not in page
    assert re.search(r"as `wharfside --help` tells:\n +--server --context", page)


def test_what_an_argument_is() -> None:
    page = shown("run")
    assert page.startswith("Usage: wharfside run [OPTIONS] NODE[/CONTAINER] [COMMAND [ARG]...]\n")
    assert re.search(r"-m, --memory SIZE +32m, 1g", page)
