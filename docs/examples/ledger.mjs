// What the scheduler remembers: jobs, and where each is. The twin of ledger.py, with the same file.

import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";

const FRESH = { needs: {}, spec: {}, attempt: 0, node: null, container: null, deadline: null, begun: false, outcome: null, end: null };

export const memory = (job) => job.spec.limits?.memory_bytes ?? 0;

export class Ledger {
  constructor(path, jobs) {
    const kept = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
    Object.assign(this, { path, seq: kept.seq, token: kept.token ?? randomBytes(4).toString("hex") });
    this.jobs = jobs.map((job) => ({ ...FRESH, ...job, ...kept.jobs?.[job.name] }));
  }

  save() {
    const jobs = Object.fromEntries(this.jobs.map((job) => [job.name, job]));
    const file = openSync(`${this.path}.new`, "w");
    writeSync(file, JSON.stringify({ token: this.token, seq: this.seq, jobs }));
    fsyncSync(file);
    closeSync(file);
    renameSync(`${this.path}.new`, this.path);
  }
}

export function report({ name, attempt }, node, told, facts) {
  writeSync(1, `${JSON.stringify({ job: name, attempt, node, told, ...facts })}\n`);
}
