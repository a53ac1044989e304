"""What every scenario is given: the contenders that answer, a server, and how long to take."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.bench import contenders
from tests.bench.contenders import CommandLine, ContenderFailed
from tests.bench.ours import NotReady, Ours
from tests.bench.places import IDLE, Places
from tests.bench.rounds import Measure

PEERS = ("ctr", "podman", "docker")


@dataclass
class Bench:
    """`server` is a URL, `restart_server` its kill -9 and new life; `notes` says what could
    not be measured, and why."""

    quick: bool
    places: Places
    server: str
    restart_server: Callable[[], None]
    notes: list[str] = field(default_factory=list)
    _found: dict[str, CommandLine] | None = None

    def pick(self, quick: int, full: int) -> int:
        """How many: of rounds, containers, calls."""
        return quick if self.quick else full

    @contextmanager
    def node(self) -> Iterator[Ours | None]:
        """A fresh node; None where ours is not available, which is noted."""
        with ExitStack() as stack:
            try:
                ours = stack.enter_context(Ours(self.server, self.places))
            except NotReady as error:
                self.note(f"ours not available: {error}")
                yield None
            else:
                yield ours

    def command_lines(self) -> dict[str, CommandLine]:
        """The floor and the peers that run a container here and now, by name."""
        if self._found is None:
            floor = [contenders.script(self.places), contenders.bare_crun(self.places)]
            self._found = {one.name: one for one in floor + self._peers() if self._answers(one)}
        return self._found

    def against(self, ours: Ours | None) -> dict[str, CommandLine]:
        """And the floor with what `ours` adds to the config.json of its bundle."""
        found = dict(self.command_lines())
        if ours:
            given = ours.config_of(self.places.bundle("idle", IDLE))
            self.places.lay_out_hardened(given)
            one = contenders.hardened_script(self.places)
            found |= {one.name: one} if self._answers(one) else {}
        return found

    def forgiving(self, measure: Callable[[], float]) -> Measure:
        """`measure`; a life that failed is noted and left out, the run goes on."""

        def attempt() -> float | None:
            try:
                return measure()
            except ContenderFailed as error:
                self.note(f"a figure is left out: {error}")
                return None

        return attempt

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _peers(self) -> list[CommandLine]:
        # Without it they would speak to the host's own engines.
        if not (self.places.kept / "peers.env").exists():
            self.note("no peers: run tests/bench/setup-peers first")
            return []
        return contenders.peers(self.places)

    def _answers(self, contender: CommandLine) -> bool:
        try:
            contender.once()
        except ContenderFailed as error:
            self.note(f"not available: {error}")
            return False
        return True


def sweep(places: Places) -> None:
    """What failed lives of the floor have left: containers first, then the folders."""
    runtime = os.environ.get("WHARFSIDE_BENCH_RUNTIME", "/usr/bin/crun")
    state = places.floor / "crun"
    for container in state.iterdir() if state.exists() else ():
        argv = [runtime, f"--root={state}", "delete", "--force", container.name]
        subprocess.run(argv, capture_output=True, timeout=10, check=False)
    shutil.rmtree(places.floor, ignore_errors=True)
