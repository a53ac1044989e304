"""What the scheduler remembers: jobs, and where each is. A JSON file, whole whatever dies."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Job:
    """As JOBS has it, and how it stands.

    `node`: where its attempt is; None: it is to be placed. `begun`: the attempt was seen there.
    `outcome`: how the attempt ended, with `why` where the job has not. `end`: how the job did.
    """

    name: str
    needs: dict = field(default_factory=dict)
    spec: dict = field(default_factory=dict)
    attempt: int = 0
    node: str | None = None
    container: str | None = None
    deadline: str | None = None
    begun: bool = False
    outcome: dict | None = None
    end: dict | None = None

    @property
    def memory(self):
        return self.spec.get("limits", {}).get("memory_bytes", 0)


class Ledger:
    """`token`: its own for ever, so that a new ledger is a new world. `seq`: events dealt with."""

    def __init__(self, path, jobs):
        kept = json.loads(Path(path).read_text()) if Path(path).exists() else {}
        self.path, self.seq = Path(path), kept.get("seq")
        self.token = kept.get("token") or secrets.token_hex(4)
        self.jobs = [Job(**job | kept.get("jobs", {}).get(job["name"], {})) for job in jobs]

    def save(self, seq):
        self.seq, jobs = seq, {job.name: asdict(job) for job in self.jobs}
        new = self.path.with_suffix(".new")
        with new.open("w") as file:
            json.dump({"token": self.token, "seq": seq, "jobs": jobs}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)


def report(job, node, told, **facts):
    line = {"job": job.name, "attempt": job.attempt, "node": node, "told": told}
    print(json.dumps(line | facts), flush=True)
