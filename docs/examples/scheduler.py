"""A scheduler of batch jobs: each runs on one node at a time, and elsewhere once its node is lost.

python scheduler.py JOBS LEDGER

JOBS is a JSON list of {"name", "needs": {label: value}, "spec": what the op `run` takes besides
the name}. LEDGER is the scheduler's memory, a file: started again with it, also after kill -9,
it goes on where it was. It ends once all jobs have.
"""

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from wharfside_client import ContainerChanged, ContainerGone, NodeChanged, NodeGone, State, connect
from wharfside_client.contexts import find_settings
from wharfside_protocol.codec import convert
from wharfside_protocol.commands import CreateArgs, DeleteArgs
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.times import NANOSECONDS, to_timestamp

SILENT_S = float(os.environ.get("SILENT_S", "90"))  # puts come each 30 s
DISCONNECT_S = float(os.environ.get("DISCONNECT_S", "60"))  # then the node stops it by itself
MARGIN_S = float(os.environ.get("MARGIN_S", "30"))  # for SIGKILL (20 s) and clocks
BEGIN_S = MARGIN_S * 2 / 3  # what is not begun by then must not begin: it may be elsewhere
RETRY_S = 2.0
ELSEWHERE = {"busy", "draining", "deadline-exceeded"}  # nothing of it was done
AGAIN = {"stop", "node-reboot", "monitor-lost"}  # the job did not end by itself


@dataclass
class Job:
    name: str
    needs: dict = field(default_factory=dict)
    spec: dict = field(default_factory=dict)
    attempt: int = 0
    node: str | None = None  # None: to be placed
    deadline: str | None = None
    begun: bool = False
    end: dict | None = None

    @property
    def memory(self) -> int:
        return (self.spec.get("limits") or {}).get("memory_bytes") or 0


class Scheduler:
    def __init__(self, fleet, jobs: list[dict], ledger: Path) -> None:
        self.fleet, self.ledger = fleet, ledger
        kept = json.loads(ledger.read_text()) if ledger.exists() else {}
        self.token = kept.get("token") or secrets.token_hex(4)
        self.seq, self.leftovers = kept.get("seq"), kept.get("leftovers", [])
        self.jobs = [Job(**{**job, **kept.get("jobs", {}).get(job["name"], {})}) for job in jobs]
        self.lost: dict[str, object] = {}  # nodes that are silent
        self.open: set[asyncio.Task] = set()

    def save(self) -> None:
        """First the ledger, then the command: what may have been sent is always known."""
        jobs = {job.name: asdict(job) for job in self.jobs}
        kept = {"token": self.token, "seq": self.seq, "leftovers": self.leftovers, "jobs": jobs}
        new = self.ledger.with_suffix(".new")
        with new.open("w") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.ledger)

    async def run(self) -> None:
        async with (
            asyncio.TaskGroup() as self.group,
            self.fleet.watch(
                labels={"scheduler": self.token}, since=self.seq, silent_s=SILENT_S
            ) as self.watch,
        ):
            async for change in self.watch:
                self.take(change)
                self.place()
                if all(job.end for job in self.jobs):
                    break
            for node, container in list(self.leftovers):
                await self.delete(node, container)
            for task in self.open:
                task.cancel()

    def spawn(self, work) -> None:
        task = self.group.create_task(work)
        self.open.add(task)
        task.add_done_callback(self.open.discard)

    def take(self, change) -> None:
        match change:
            case State():
                self.go_on(change)
            case ContainerChanged():
                self.look(change.new)
            case ContainerGone():
                self.look(change.old, gone=True)
            case NodeChanged():
                self.hear(change.new.node, silent=change.new.silent)
            case NodeGone():
                self.hear(change.old.node, silent=True)

    def go_on(self, state: State) -> None:
        """What was sent and is not known to have begun is sent again; what is to go, too."""
        for node, container in self.leftovers:
            self.spawn(self.delete(node, container))
        for view in state.containers.values():
            self.look(view)
        for job in self.placed():
            if not job.begun:
                self.spawn(self.send(job))
        for name in {job.node for job in self.placed()} | set(state.nodes):
            self.hear(name, silent=name not in state.nodes or state.nodes[name].silent)

    def look(self, view, gone: bool = False) -> None:
        """One of our containers changed: does it end its job, or the attempt?"""
        for job in self.placed(view.node):
            if self.name(job) != view.container:
                continue  # of an attempt that was given up
            job.begun = True
            if view.exit and view.exit.reason not in AGAIN:
                end = {"exit_code": view.exit.exit_code, "reason": view.exit.reason}
                self.leave(job, "ended", end, end=end)
            elif view.exit or gone:
                self.give_up(job, view.exit.reason if view.exit else "gone")

    def hear(self, node: str, silent: bool) -> None:
        """Counted is from when we hear of the silence, by our own clock: later is safe."""
        if not silent:
            self.lost.pop(node, None)
        elif node not in self.lost:
            self.lost[node] = since = object()
            self.spawn(self.move(node, since))

    async def move(self, node: str, since: object) -> None:
        """By the end of the wait the node itself has stopped all that it ran for us."""
        grace = max((job.spec.get("grace_s", 10.0) for job in self.placed(node)), default=0.0)
        for wait_s in (DISCONNECT_S + grace + MARGIN_S, 0.0):
            await self.unheard(node)
            await asyncio.sleep(wait_s)
        if self.lost.get(node) is since:  # else it is back
            for job in self.placed(node):
                self.give_up(job, "node silent")
            self.place()

    async def unheard(self, node: str) -> None:
        """One that answers cannot put its presence, no more: what it runs runs on."""
        with contextlib.suppress(WharfsideError):
            for _ in itertools.count():
                await self.fleet.node(node).ping(timeout_s=RETRY_S)
                await asyncio.sleep(MARGIN_S)

    def placed(self, node: str | None = None) -> list[Job]:
        placed = [job for job in self.jobs if job.node and not job.end]
        return [job for job in placed if node in (None, job.node)]

    def place(self) -> None:
        for job in self.jobs:
            node = None if job.node or job.end else self.choose(job)
            if node is not None:
                job.attempt, job.node, job.begun = job.attempt + 1, node, False
                job.deadline = to_timestamp(time.time_ns() + int(BEGIN_S * NANOSECONDS))
                self.save()
                self.tell(job, "placed")
                self.spawn(self.send(job))

    def choose(self, job: Job) -> str | None:
        """The node with the labels and the most room; the node itself has the last word."""
        rooms = {}
        for name, node in sorted(self.watch.state.nodes.items()):
            info = node.info
            if not node.silent and info.state == "up" and job.needs.items() <= info.labels.items():
                coming = sum(other.memory for other in self.placed(name) if not other.begun)
                rooms[name] = info.capacity.free.memory_bytes - coming
        fits = [name for name in rooms if rooms[name] >= job.memory]
        return max(fits, key=rooms.__getitem__, default=None)

    async def send(self, job: Job) -> None:
        """The id is made of job and attempt: sent twice, it is the same command."""
        name, attempt, node = self.name(job), job.attempt, self.fleet.node(job.node)
        labels = {**job.spec.get("labels", {}), "scheduler": self.token}
        wanted = {"container": name, "labels": labels, "stop_on_disconnect_s": DISCONNECT_S}
        args = convert({**job.spec, **wanted}, CreateArgs)
        async with await node.post(
            "run", args, command_id=f"run-{name}", deadline=job.deadline
        ) as posted:
            error = (await posted.result(24 * 3600)).error
        elsewhere = error and (error.code in ELSEWHERE or _no_room(error))
        await asyncio.sleep(RETRY_S if elsewhere else 0)
        if error is None or job.begun or job.attempt != attempt or job not in self.placed():
            return  # the events tell the rest
        if elsewhere:
            self.give_up(job, error.code)
            self.place()
        else:
            end = {"error": error.code, "message": error.message}
            self.leave(job, "ended", end, end=end)

    def give_up(self, job: Job, why: str) -> None:
        self.leave(job, "given up", {"why": why}, node=None)

    def leave(self, job: Job, told: str, facts: dict, **changes) -> None:
        """Its container goes; a node that is away reads that first thing when it is back."""
        self.seq, before = self.watch.seq, replace(job)
        self.leftovers.append([job.node, self.name(job)])
        for field_, value in changes.items():
            setattr(job, field_, value)
        self.save()
        self.tell(before, told, **facts)
        self.spawn(self.delete(before.node, self.name(before)))

    async def delete(self, node: str, container: str) -> None:
        args = DeleteArgs(container=container, force=True)
        await self.fleet.node(node).post("delete", args, command_id=f"delete-{container}")
        self.leftovers = [each for each in self.leftovers if each != [node, container]]
        self.save()

    def name(self, job: Job) -> str:
        return f"{job.name}-{job.attempt}-{self.token}"

    def tell(self, job: Job, told: str, **facts) -> None:
        line = {"job": job.name, "attempt": job.attempt, "node": job.node, "told": told, **facts}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def _no_room(error) -> bool:
    return error.code == "denied" and str(error.details.get("rule")).startswith("capacity.")


async def main(jobs: list[dict], ledger: Path) -> None:
    async with connect(find_settings({}, None, os.environ)) as fleet:
        await Scheduler(fleet, jobs, ledger).run()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])))
