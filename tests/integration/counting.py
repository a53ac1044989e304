"""A program that counts, and what it has counted: in its log, and in its writable layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.integration.bounds import BOUND_S
from tests.integration.fifos import shell
from tests.integration.world import Site
from tests.support.eventually import eventually

COUNTS = shell("i=0; while :; do echo $i >>/tmp/numbers; echo $i; i=$((i + 1)); sleep 0.01; done")
"""Writes each number twice; a checkpoint between the two must not lose the second."""


@dataclass
class Counting:
    logs: Path
    numbers: Path

    @classmethod
    async def of(cls, site: Site, container: str) -> Counting:
        incarnation = (await site.node.inspect(container)).incarnation.lower()
        state = site.agent.folder / "state"
        numbers = state / "layers" / incarnation / "upper" / "tmp" / "numbers"
        return cls(state / "logs" / incarnation, numbers)

    def logged(self, run: int | None = None) -> list[int]:
        """On stdout (its shell has words of its own). Of all runs, in their order, or of one."""
        logs = sorted(self.logs.glob("*-init.log"), key=lambda path: int(path.name.split("-")[0]))
        wanted = [log for log in logs if run in (None, int(log.name.split("-")[0]))]
        lines = [line for log in wanted for line in whole_lines(log)]
        return [int(line.split(" ")[3]) for line in lines if " stdout F " in line]

    def written(self) -> list[int]:
        """To its file; less the one after whose first write it was killed, before the second."""
        numbers, logged = [int(line) for line in self.numbers.read_text().split()], self.logged()
        halved = bool(numbers and logged) and numbers[-1] == logged[-1] + 1
        return numbers[:-1] if halved else numbers

    async def further(self, run: int, numbers: int = 3) -> None:
        """Waits until `run` has counted so far."""

        def counted() -> bool:
            return len(self.logged(run)) >= numbers

        await eventually(counted, f"run {run} counts", within_s=BOUND_S)


def whole_lines(log: Path) -> list[str]:
    """The last one may just be written."""
    whole, _, _ = log.read_text().rpartition("\n")
    return whole.splitlines()


def broken_criu(folder: Path) -> None:
    """A program of that name, as one older than the kernel speaks."""
    folder.mkdir(parents=True)
    words = "Error (criu/vdso.c:659): vdso: Unexpected rt vDSO area bounds"
    (folder / "criu").write_text(f'#!/bin/sh\necho "{words}" >&2\nexit 1\n')
    (folder / "criu").chmod(0o755)
