"""The examples of a document that need a terminal: fenced blocks marked `console typed`.

What stands behind a prompt (`$ ` here, `/ # ` in a container) is typed, `^P` with the control
key held, once the prompt is there; at the end the screen must show what the block does.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.support.documents import blocks
from tests.support.screen import Screen, open_screen

_PROMPT = re.compile(r"(\$ |/ # )")
_CONTROL = re.compile(r"\^([A-Z])")
# without a system's own rc file, which sets another prompt
_SHELL = r'''
import os, sys
os.chdir(sys.argv[1])
script = """. "$0"; exec env PS1='$ ' bash --norc --noprofile -i"""
os.execvp("bash", ["bash", "-c", script, sys.argv[2]])
'''


def transcripts(document: Path) -> list[list[str]]:
    return [b.text.splitlines() for b in blocks(document) if b.mark == "typed"]


def shown(line: str) -> str:
    """`line` as the screen has it: of what is typed, control keys are not seen."""
    return _CONTROL.sub("", line).rstrip()


async def replay(lines: list[str], folder: Path, setup: Path) -> list[str]:
    """What the screen shows once all of `lines` is typed into a bash that has read `setup`."""
    arguments, row = [str(folder), str(setup)], -1
    async with open_screen(_SHELL, arguments, env=os.environ, rows=50, columns=100) as screen:
        for line in lines:
            if prompt := _PROMPT.match(line):
                row = await _prompted(screen, prompt[0], row)
                screen.send(_keys(line[prompt.end() :]))
        await _prompted(screen, "$ ", row)
        return screen.text.splitlines()[:-1]


def _keys(text: str) -> str:
    typed = _CONTROL.sub(lambda key: chr(ord(key[1]) - 64), text)
    return typed if _CONTROL.search(text) else f"{typed}\r"


async def _prompted(screen: Screen, prompt: str, above: int) -> int:
    """The row of the next prompt; the one `above` may stand there still."""

    def stands() -> bool:
        row, column = screen.cursor
        return row > above and column == len(prompt) and screen.lines[row] == prompt.rstrip()

    await screen.until(stands, f"the prompt {prompt!r}")
    return screen.cursor[0]
