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
from dataclasses import asdict, dataclass, field
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
ELSEWHERE = {"busy", "draining", "deadline-exceeded", "canceled"}
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
        self.seq = kept.get("seq")
        self.leftovers = kept.get("leftovers", [])
        known = kept.get("jobs", {})
        self.jobs = [Job(**{**job, **known.get(job["name"], {})}) for job in jobs]
        self.tasks: dict[str, asyncio.Task] = {}

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
        mine = {"scheduler": self.token}
        async with (
            asyncio.TaskGroup() as self.group,
            self.fleet.watch(labels=mine, since=self.seq, silent_s=SILENT_S) as self.watch,
        ):
            async for change in self.watch:
                self.take(change)
                self.place()
                if all(job.end for job in self.jobs):
                    break
            self.seq = self.watch.seq
            self.save()
            for key, task in self.tasks.items():
                if not key.startswith("delete "):
                    task.cancel()

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
            self.start(f"delete {container}", self.delete(node, container))
        for view in state.containers.values():
            self.look(view)
        for job in self.jobs:
            if job.node and not job.begun and not job.end:
                self.start(f"run {job.name}", self.send(job))
        for name in {job.node for job in self.jobs if job.node and not job.end}:
            node = state.nodes.get(name)
            self.hear(name, silent=node is None or node.silent)

    def look(self, view, gone: bool = False) -> None:
        """One of our containers changed: does it end its job, or the attempt?"""
        job = next((job for job in self.jobs if self.name(job) == view.container), None)
        if job is None or job.end or job.node != view.node:
            return  # of an attempt that was given up
        job.begun = True
        if view.exit and view.exit.reason not in AGAIN:
            self.finish(job, {"exit_code": view.exit.exit_code, "reason": view.exit.reason})
        elif view.exit or gone:
            self.give_up(job, view.exit.reason if view.exit else "gone")

    def hear(self, node: str, silent: bool) -> None:
        """Counted is from when we hear of the silence, by our own clock: later is safe."""
        if not silent:
            self.stop(f"move {node}")
        elif f"move {node}" not in self.tasks:
            self.start(f"move {node}", self.move(node))

    async def move(self, node: str) -> None:
        """By the end of the wait the node itself has stopped all that it ran for us."""
        jobs = [job for job in self.jobs if job.node == node and not job.end]
        grace = max((job.spec.get("grace_s", 10.0) for job in jobs), default=0.0)
        for wait_s in (DISCONNECT_S + grace + MARGIN_S, 0.0):
            await self.unheard(node)
            await asyncio.sleep(wait_s)
        for job in jobs:
            if job.node == node and not job.end:
                self.give_up(job, "node silent")
        self.place()

    async def unheard(self, node: str) -> None:
        """One that answers cannot put its presence, no more: what it runs runs on."""
        with contextlib.suppress(WharfsideError):
            for _ in itertools.count():
                await self.fleet.node(node).ping(timeout_s=RETRY_S)
                await asyncio.sleep(MARGIN_S)

    def place(self) -> None:
        for job in self.jobs:
            node = None if job.node or job.end else self.choose(job)
            if node is not None:
                job.attempt, job.node, job.begun = job.attempt + 1, node, False
                job.deadline = to_timestamp(time.time_ns() + int(BEGIN_S * NANOSECONDS))
                self.save()
                self.tell(job, "placed")
                self.start(f"run {job.name}", self.send(job))

    def choose(self, job: Job) -> str | None:
        """The node with the labels and the most room; the node itself has the last word."""
        rooms = {}
        for node in self.watch.state.nodes.values():
            labels = node.info.labels
            if node.silent or node.info.state != "up" or not job.needs.items() <= labels.items():
                continue
            room = node.info.capacity.free.memory_bytes - sum(
                other.memory
                for other in self.jobs
                if other.node == node.node and not other.begun and not other.end
            )
            if room >= job.memory:
                rooms[node.node] = room
        return max(sorted(rooms), key=rooms.__getitem__, default=None)

    async def send(self, job: Job) -> None:
        """The id is made of job and attempt: sent twice, it is the same command."""
        name, node = self.name(job), self.fleet.node(job.node)
        labels = {**job.spec.get("labels", {}), "scheduler": self.token}
        wanted = {"container": name, "labels": labels, "stop_on_disconnect_s": DISCONNECT_S}
        args = convert({**job.spec, **wanted}, CreateArgs)
        async with await node.post(
            "run", args, command_id=f"run-{name}", deadline=job.deadline
        ) as posted:
            error = (await posted.result(24 * 3600)).error
        if error is None or job.begun:
            return  # its events tell the rest
        if error.code in ELSEWHERE or str(error.details.get("rule")).startswith("capacity."):
            await asyncio.sleep(RETRY_S)
            self.give_up(job, error.code)
            self.place()
        else:
            self.finish(job, {"error": error.code, "message": error.message})

    def give_up(self, job: Job, why: str) -> None:
        node = job.node
        self.clear(job)
        job.node = None
        self.save()
        self.tell(job, "given up", why=why, node=node)

    def finish(self, job: Job, end: dict) -> None:
        job.end = end
        self.clear(job)
        self.save()
        self.tell(job, "ended", **end)

    def clear(self, job: Job) -> None:
        """Its container goes; a node that is away reads that first thing when it is back."""
        self.seq = self.watch.seq
        self.stop(f"run {job.name}")
        self.leftovers.append([job.node, self.name(job)])
        self.start(f"delete {self.name(job)}", self.delete(job.node, self.name(job)))

    async def delete(self, node: str, container: str) -> None:
        args = DeleteArgs(container=container, force=True)
        await self.fleet.node(node).post("delete", args, command_id=f"delete-{container}")
        self.leftovers.remove([node, container])
        self.save()

    def name(self, job: Job) -> str:
        return f"{job.name}-{job.attempt}-{self.token}"

    def start(self, key: str, work) -> None:
        self.tasks[key] = task = self.group.create_task(work)
        task.add_done_callback(lambda done: self.tasks.get(key) is done and self.tasks.pop(key))

    def stop(self, key: str) -> None:
        task = self.tasks.pop(key, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def tell(self, job: Job, told: str, **facts) -> None:
        line = {"job": job.name, "attempt": job.attempt, "node": job.node, "told": told, **facts}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


async def main(jobs: list[dict], ledger: Path) -> None:
    async with connect(find_settings({}, None, os.environ)) as fleet:
        await Scheduler(fleet, jobs, ledger).run()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])))
