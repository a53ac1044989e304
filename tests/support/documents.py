"""The examples of a document, as its reader would try them: fenced blocks marked `run`.

    ```console run        commands after `$ `, each with the output that it prints
    ```python run=FILE    saved as FILE first, for a command to run

One shell runs all commands of a document, in order. What varies from run to run (times, sizes,
pids, ids) is not compared; a line `...` stands for any lines.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "@@ document command @@"
SECONDS = 300.0
"""The README has some forty commands, and a busy machine takes a second to start one."""

# Exit codes are what these examples are about: they stay, all other figures may differ.
_KEPT = re.compile(r"\bcode \d+|^\d+( \(\w+\))?$")
_RUNTIMES = re.compile(r"\b(crun|runc)( \d\S*)?(,? (crun|runc)( \d\S*)?)*")

_DATA = re.compile(r"/\S*/\.wharfside\b")
# made up, and one in fifty has no digit
_EXEC = re.compile(r"\bexec-\w{12}\b")


@dataclass
class Command:
    """A command and what the document says that it prints."""

    text: str
    output: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the word after it, its text."""

    language: str
    mark: str
    text: str


def blocks(document: Path) -> Iterator[Block]:
    for language, mark, text in _FENCE.findall(document.read_text()):
        yield Block(language, mark, text)


def runnable(document: Path) -> list[Command]:
    """The commands of all blocks marked `console run`."""
    marked = (block for block in blocks(document) if block.language == "console")
    return [each for block in marked if block.mark == "run" for each in _commands(block)]


def try_examples(document: Path, folder: Path) -> list[tuple[Command, list[str]]]:
    """Each command of `document` with what it printed, all run in one bash in `folder`."""
    for block in blocks(document):
        if block.mark.startswith("run="):
            (folder / block.mark.removeprefix("run=")).write_text(block.text)
    wanted = runnable(document)
    printed = _run([command.text for command in wanted], folder)
    return list(zip(wanted, printed, strict=True))


def alike(expected: Sequence[str], printed: Sequence[str]) -> bool:
    """The same lines but for what varies; `...` among the expected stands for any lines."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "..." else re.escape(without_figures(line)) + r"\n"
        for line in expected
    )
    text = "".join(f"{without_figures(line)}\n" for line in printed)
    return re.fullmatch(pattern, text) is not None


def without_figures(line: str) -> str:
    """`line` with single spaces, `#` for each word with a digit, and exit codes as they are."""
    for pattern, word in ((_RUNTIMES, "RUNTIME"), (_DATA, "DATA"), (_EXEC, "exec-0")):
        line = pattern.sub(word, line)
    line = " ".join(line.split())
    kept = [match.span() for match in _KEPT.finditer(line)]
    return re.sub(
        r"\S*\d\S*",
        lambda word: word[0] if _touches(word.span(), kept) else "#",
        line,
    )


def _commands(block: Block) -> list[Command]:
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif found and found[-1].text.endswith("\\"):
            found[-1].text += f"\n{line}"
        else:
            assert found, f"output before the first command: {line!r}"
            found[-1].output.append(line)
    return found


def _touches(span: tuple[int, int], kept: Sequence[tuple[int, int]]) -> bool:
    return any(begin < span[1] and span[0] < end for begin, end in kept)


def _run(texts: Sequence[str], folder: Path) -> list[list[str]]:
    # the mark keeps `$?` for the next command, as at a prompt
    script = "".join(f'{text}\n(s=$?; echo "{_MARK}"; exit $s)\n' for text in texts)
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    outputs = done.stdout.split(f"{_MARK}\n")
    return [output.splitlines() for output in outputs[: len(texts)]]
