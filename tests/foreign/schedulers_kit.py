"""The guide's schedulers as programs: killed, started again, and judged by what the nodes told."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.bounds import bounded

from wharfside_protocol.events import Event
from wharfside_protocol.times import from_timestamp


@dataclass(frozen=True)
class Bounds:
    """In seconds. `within`: how long a line may take that waits for all of them."""

    silent: float
    disconnect: float
    grace: float
    margin: float
    within: float

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SILENT_S": str(self.silent),
            "DISCONNECT_S": str(self.disconnect),
            "MARGIN_S": str(self.margin),
        }


QUICK = Bounds(silent=2.0, disconnect=8.0, grace=1.0, margin=5.0, within=60.0)
"""With presences each half second. A scheduler that moves at the silence doubles a job: its node
lets it run for `disconnect` after it was cut off."""
THE_GUIDES = Bounds(silent=90.0, disconnect=60.0, grace=10.0, margin=30.0, within=400.0)


@dataclass
class Scheduler:
    """`told`: the lines that all of its lives have printed."""

    program: tuple[str, ...]
    jobs: list[dict[str, Any]]
    folder: Path
    environment: dict[str, str]
    bounds: Bounds
    told: list[dict[str, Any]] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        jobs = self.folder / "jobs.json"
        jobs.write_text(json.dumps(self.jobs))
        with (self.folder / "errors").open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *(*self.program, str(jobs), str(self.folder / "ledger.json")),
                env=os.environ | self.environment | self.bounds.environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )

    async def next(self) -> dict[str, Any] | None:
        """The next line; None: it has ended."""
        assert self.process is not None and self.process.stdout is not None
        line = await bounded(
            self.process.stdout.readline(), f"a line:\n{self.errors}", self.bounds.within
        )
        if line:
            self.told.append(json.loads(line))
        return self.told[-1] if line else None

    async def until(self, told: str, job: str, node: str | None = None) -> dict[str, Any]:
        """A line that was told already, or is yet to come."""
        wanted = {"told": told, "job": job} | ({} if node is None else {"node": node})
        for line in self.told:
            if wanted.items() <= line.items():
                return line
        while (line_ := await self.next()) is not None:
            if wanted.items() <= line_.items():
                return line_
        raise AssertionError(f"it ended before {wanted}: {self.told}\n{self.errors}")

    async def kill(self) -> None:
        """kill -9; what it had printed is kept."""
        assert self.process is not None and self.process.returncode is None, self.errors
        self.process.send_signal(signal.SIGKILL)
        await self.ended()

    async def ended(self) -> int:
        assert self.process is not None
        while await self.next() is not None:
            pass
        return await bounded(self.process.wait(), "the scheduler's end")

    async def again(self) -> None:
        await self.kill()
        await self.start()

    async def close(self) -> None:
        if self.process is not None and self.process.returncode is None:
            await self.kill()

    def placed(self) -> dict[str, str | None]:
        """Where each job is, as its ledger has it: what is told there may be lost with a life."""
        kept = json.loads((self.folder / "ledger.json").read_text())
        return {name: None if job["end"] else job["node"] for name, job in kept["jobs"].items()}

    @property
    def errors(self) -> str:
        return (self.folder / "errors").read_text(errors="replace")


class Life(NamedTuple):
    """A container's run, from its start to its end as its node saw them, in nanoseconds."""

    container: str
    node: str
    began: int
    ended: int


def lives(events: Iterable[Event], job: str) -> list[Life]:
    """All attempts of a job that ran, in the order of time; each must have ended.

    An incarnation that began twice is two of them.
    """
    mine = [e for e in events if (e.container or "").startswith(f"{job}-")]
    ends = {
        (e.node, e.incarnation, e.run): from_timestamp(e.data["exited_at"])
        for e in mine
        if e.type == "exited"
    }
    return sorted(
        (
            Life(
                e.container or "",
                e.node,
                from_timestamp(e.occurred_at),
                ends[e.node, e.incarnation, e.run],
            )
            for e in mine
            if e.type == "started"
        ),
        key=lambda life: life.began,
    )


def never_two_at_once(lives: list[Life]) -> bool:
    return all(a.ended <= b.began for a, b in itertools.pairwise(lives))
