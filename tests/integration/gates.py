"""crun behind a script that holds or refuses one of its commands: slow work without sleeping."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.fifos import Cues
from tests.support.requirements import find_command

_numbers = itertools.count(1)

_SCRIPT = """\
#!/bin/sh
for word in "$@"; do
    case $word in
        -*) ;;
        *) break ;;
    esac
done
if [ -d "{folder}/$word" ]; then
    echo held >"{folder}/$word/ready"
    read -r _ <"{folder}/$word/go"
fi
if [ -f "{folder}/refuse-$word" ]; then
    cat "{folder}/refuse-$word" >&2
    exit 1
fi
exec {crun} "$@"
"""


@dataclass(frozen=True)
class Gates:
    """The agent that is started with `environment` finds the script where it looks for crun."""

    folder: Path

    def __post_init__(self) -> None:
        script = self.folder / "bin" / "crun"
        script.parent.mkdir(parents=True)
        script.write_text(_SCRIPT.format(folder=self.folder, crun=find_command("crun")))
        script.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    @contextmanager
    def hold(self, word: str) -> Iterator[Cues]:
        """Every `crun word` says when it is there (`ready`), and goes on when it is let (`go`)."""
        cues = Cues(self.folder / word)
        try:
            yield cues
        finally:
            # The folder goes first: whoever comes now is not held.
            (self.folder / word).rename(self.folder / f"over-{next(_numbers)}")
            cues.go()
            cues.close()

    @contextmanager
    def refuse(self, word: str, words: str) -> Iterator[None]:
        """Every `crun word` fails, and says `words`."""
        file = self.folder / f"refuse-{word}"
        file.write_text(words)
        try:
            yield
        finally:
            file.unlink()
