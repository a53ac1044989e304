"""A scheduler of batch jobs: docs/orchestrators.md tells how it works, and why it is safe.

python scheduler.py JOBS LEDGER
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from ledger import Ledger, report

from wharfside_client import ContainerChanged, ContainerGone, connect, deadline_in
from wharfside_client.contexts import find_settings

SILENT_S = float(os.environ.get("SILENT_S", "90"))
DISCONNECT_S = float(os.environ.get("DISCONNECT_S", "60"))
MARGIN_S = float(os.environ.get("MARGIN_S", "30"))
BEGIN_S, RETRY_S, RESULT_S = MARGIN_S * 2 / 3, 2, 24 * 3600
NOT_BEGUN = {"busy", "draining", "deadline-exceeded"}
NOT_ENDED = {"stop", "node-reboot", "monitor-lost"}


class Scheduler:
    def __init__(self, fleet, watch, ledger):
        self.fleet, self.watch, self.ledger, self.jobs = fleet, watch, ledger, ledger.jobs
        self.changed = asyncio.Event()

    async def run(self):
        for view in (await anext(self.watch)).containers.values():
            self.look(view)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self.follow())
            await asyncio.gather(*map(self.attend, self.jobs))
            following.cancel()

    async def follow(self):
        async for change in self.watch:
            if isinstance(change, ContainerChanged):
                self.look(change.new)
            elif isinstance(change, ContainerGone):
                self.look(change.old, gone=True)
            self.changed.set()

    def look(self, view, gone=False):
        for job in self.jobs:
            if (job.node, job.container) == (view.node, view.container):
                job.begun = True
                if view.exit and view.exit.reason not in NOT_ENDED:
                    self.tell(job, exit_code=view.exit.exit_code, reason=view.exit.reason)
                elif view.exit or gone:
                    self.tell(job, why=view.exit.reason if view.exit else "gone")

    def tell(self, job, **outcome):
        job.outcome = job.outcome or outcome
        self.changed.set()

    async def when(self, told):
        while not told():
            self.changed.clear()
            await self.changed.wait()

    def save(self):
        self.ledger.save(self.watch.seq)
        self.changed.set()

    async def attend(self, job):
        while not job.end:
            if not job.node:
                await self.when(lambda: self.place(job))
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work(job)) for work in (self.send, self.guard)]
                await self.when(lambda: job.outcome)
                for task in tasks:
                    task.cancel()
            self.save()
            await self.post(job, "delete", {"container": job.container, "force": True})
            node, again = job.node, "why" in job.outcome
            job.node, job.end = (None, None) if again else (node, job.outcome)
            self.save()
            report(job, node, "given up" if again else "ended", **job.outcome)

    def choose(self, job):
        rooms = {
            name: self.room(name, node.info)
            for name, node in sorted(self.watch.state.nodes.items())
            if not node.silent and node.info.state == "up"
            if job.needs.items() <= node.info.labels.items()
        }
        fits = [name for name in rooms if rooms[name] >= job.memory]
        return max(fits, key=rooms.__getitem__, default=None)

    def room(self, node, info):
        coming = [job for job in self.jobs if job.node == node and not (job.begun or job.end)]
        return info.capacity.free.memory_bytes - sum(job.memory for job in coming)

    def place(self, job):
        node = self.choose(job)
        if node is None:
            return False
        job.node, job.attempt, job.begun, job.outcome = node, job.attempt + 1, False, None
        job.container = f"{job.name}-{job.attempt}-{self.ledger.token}"
        job.deadline = deadline_in(BEGIN_S)
        self.save()
        report(job, node, "placed")
        return True

    async def send(self, job):
        if job.begun:
            return
        labels = {**job.spec.get("labels", {}), "scheduler": self.ledger.token}
        ours = {"container": job.container, "labels": labels, "stop_on_disconnect_s": DISCONNECT_S}
        async with await self.post(job, "run", job.spec | ours, deadline=job.deadline) as posted:
            error = (await posted.result(RESULT_S)).error
        await asyncio.sleep(RETRY_S if error else 0)
        if error and not job.begun:
            full = str(error.details.get("rule")).startswith("capacity.")
            if full or error.code in NOT_BEGUN:
                self.tell(job, why=error.code)
            else:
                self.tell(job, error=error.code, message=error.message)

    async def guard(self, job):
        nodes, node = self.watch.state.nodes, job.node
        wait_s = DISCONNECT_S + job.spec.get("grace_s", 10) + MARGIN_S
        while not job.outcome:
            await self.when(lambda: node not in nodes or nodes[node].silent)
            if await self.fleet.node(node).unheard(wait_s):
                self.tell(job, why="node silent")

    def post(self, job, op, args, **options):
        options["command_id"] = f"{op}-{job.container}"
        return self.fleet.node(job.node).post(op, args, **options)


async def main(jobs, path):
    ledger = Ledger(path, jobs)
    mine = {"scheduler": ledger.token}
    async with (
        connect(find_settings({}, None, os.environ)) as fleet,
        fleet.watch(labels=mine, since=ledger.seq, silent_s=SILENT_S) as watch,
    ):
        await Scheduler(fleet, watch, ledger).run()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]))
