"""What README and docs/ show is what happens: every example is run, as a newcomer would."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.support.documents import alike, blocks, runnable, try_examples, without_figures
from tests.support.leaks import LeakGate
from tests.support.quickstart import CHECKOUT, Quickstart
from tests.support.requirements import need
from tests.support.transcripts import replay, shown, transcripts

from wharfside_agent.core.policy.rules import Policy, Rules
from wharfside_agent.settings import Settings
from wharfside_client.contexts import ENVIRONMENT

README = CHECKOUT / "README.md"
OPERATIONS = CHECKOUT / "docs" / "operations.md"
DOCUMENTS = (README, OPERATIONS, CHECKOUT / "docs" / "security.md")


@pytest.fixture(scope="module")
def stay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quickstart]:
    """`./quickstart --stay` with its data in `.wharfside` of the folder that examples run in."""
    for name in ("root", "conmon", "crun", "runc", "busybox-static", "nats-server"):
        need(name)
    folder = tmp_path_factory.mktemp("reader")
    gate = LeakGate(folder)
    with Quickstart(folder / ".wharfside", "--stay") as running:
        running.wait_for("Ctrl-C here ends all of it")
        yield running
        running.signal(signal.SIGINT)
        assert running.end() == 0, running.text
        assert running.lines[-1] == "quickstart: ok"
        assert running.left_cgroups() == []
    assert gate.close().lines() == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_example_prints_what_the_document_says(document: Path, stay: Quickstart) -> None:
    tried = try_examples(document, stay.data.parent)
    assert tried, f"{document} has no example that is marked to run"
    for command, printed in tried:
        assert alike(command.output, printed), "\n".join(
            [f"$ {command.text}", "-- the document says:", *command.output, "-- it said:", *printed]
        )


async def test_what_is_typed_at_a_terminal_shows_what_the_readme_does(stay: Quickstart) -> None:
    typed = transcripts(README)
    assert typed, "the README has no example of a terminal"
    for lines in typed:
        screen = await replay(lines, stay.data.parent, stay.data / "env")
        assert alike([shown(line) for line in lines], screen), "\n".join(screen)


def test_the_readme_shows_what_quickstart_prints(stay: Quickstart) -> None:
    [shown] = [block.text for block in blocks(README) if block.mark == "quickstart"]
    printed = iter(without_figures(line) for line in stay.lines)
    for line in shown.splitlines():
        if line and line != "...":
            assert without_figures(line) in printed, f"quickstart does not print {line!r} there"


def test_what_stay_says_to_type_is_what_the_readme_shows(stay: Quickstart) -> None:
    """Command by command, in this order: so it is tried with the README's examples."""
    begin = stay.lines.index("Server and agent stay up. In another terminal:")
    typed = [line.strip() for line in stay.lines[begin + 1 :] if line.startswith("  ")]
    assert typed[0] == "source .wharfside/env"
    shown = iter(command.text for command in runnable(README))
    for command in typed:
        assert command in shown, f"the README does not show {command!r} there"


def test_the_configuration_reference_is_complete() -> None:
    rows = dict(re.findall(r"^\| `(\w+\.\w+)` \| (.*?) \|", OPERATIONS.read_text(), re.MULTILINE))
    settings = msgspec.structs.fields(Settings)
    wanted = {
        f"{group.name}.{field.name}": field
        for group in settings
        for field in msgspec.structs.fields(Rules if group.type is Policy else group.type)
    }
    assert set(rows) == {*wanted, "policy.file", "policy.roles", "policy.actors"}
    for name, field in wanted.items():
        if field.default is not msgspec.NODEFAULT:
            assert rows[name] == _as_toml(field.default), name


def test_the_reference_of_the_environment_is_complete() -> None:
    named = re.findall(r"^\| `([A-Z_]+)` \|", OPERATIONS.read_text(), re.MULTILINE)
    assert set(named) == {*ENVIRONMENT.values(), "NATS_CONTEXT", "NO_COLOR"}


def _as_toml(value: object) -> str:
    if value is None:
        return "-"
    text = msgspec.json.encode(value).decode()
    return f"`{text}`"
