// A scheduler of batch jobs, the twin of scheduler.py: docs/orchestrators.md tells how it works.
//
//   node scheduler.mjs JOBS LEDGER
//
// On the public NATS client; of the protocol it needs `wharfside/`: copy it, or write your own.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Mailbox } from "../../tests/foreign/js/wharfside/durable.js";
import { Nodes, unheard } from "../../tests/foreign/js/wharfside/discovery.js";
import { Fleet } from "../../tests/foreign/js/wharfside/fleet.js";
import { Streams } from "../../tests/foreign/js/wharfside/streams.js";
import { Ledger, memory, report } from "./ledger.mjs";

const seconds = (name, value) => Number(process.env[name] ?? value);
const SILENT_S = seconds("SILENT_S", 90);
const DISCONNECT_S = seconds("DISCONNECT_S", 60);
const MARGIN_S = seconds("MARGIN_S", 30);
const [BEGIN_S, RETRY_S, RESULT_S] = [(MARGIN_S * 2) / 3, 2, 24 * 3600];
const NOT_BEGUN = ["busy", "draining", "deadline-exceeded"];
const NOT_ENDED = ["stop", "node-reboot", "monitor-lost"];

class Scheduler {
  waiting = new Set();

  constructor(fleet, streams, ledger) {
    const nodes = new Nodes(streams, SILENT_S * 1000, () => this.ring());
    const mailbox = new Mailbox(fleet, streams);
    Object.assign(this, { fleet, streams, ledger, nodes, mailbox, jobs: ledger.jobs });
  }

  async run() {
    const all = `${this.fleet.prefix}.evt.>`;
    this.ledger.seq ??= (await this.streams.last("WHARFSIDE_EVT", all))?.seq ?? 0;
    await this.nodes.listen();
    this.follow();
    await Promise.all(this.jobs.map((job) => this.attend(job)));
  }

  async follow() {
    for await (const { seq, value } of this.streams.follow(">", this.ledger.seq + 1)) {
      this.look(value);
      this.ledger.seq = seq;
      this.ring();
    }
  }

  look({ node, container, process, type, data }) {
    const job = this.jobs.find((each) => each.node === node && each.container === container);
    if (!job) return;
    if (type === "started") job.begun = true;
    if (type === "deleted") this.tell(job, { why: "gone" });
    if (type !== "exited" || process !== "init") return;
    const { exit_code = null, reason } = data;
    this.tell(job, NOT_ENDED.includes(reason) ? { why: reason } : { exit_code, reason });
  }

  tell(job, outcome) {
    job.outcome ??= outcome;
    this.ring();
  }

  ring() {
    const woken = [...this.waiting];
    this.waiting.clear();
    for (const wake of woken) wake();
  }

  async when(told) {
    while (!told()) await new Promise((wake) => this.waiting.add(wake));
  }

  save() {
    this.ledger.save();
    this.ring();
  }

  async attend(job) {
    while (!job.end) {
      if (!job.node) await this.when(() => this.place(job));
      this.send(job, job.attempt);
      this.guard(job, job.attempt);
      await this.when(() => job.outcome);
      this.save();
      const { node, container, outcome } = job;
      const again = "why" in outcome;
      await this.mailbox.send(node, "delete", { container, force: true }, { id: `delete-${container}` });
      Object.assign(job, again ? { node: null } : { end: outcome });
      this.save();
      report(job, node, again ? "given up" : "ended", outcome);
    }
  }

  place(job) {
    const node = this.choose(job);
    if (!node) return false;
    const attempt = job.attempt + 1;
    const container = `${job.name}-${attempt}-${this.ledger.token}`;
    const deadline = new Date(Date.now() + BEGIN_S * 1000).toISOString();
    Object.assign(job, { node, attempt, container, deadline, begun: false, outcome: null });
    this.save();
    report(job, node, "placed");
    return true;
  }

  choose(job) {
    const fits = [];
    for (const [node, { info, silent }] of this.nodes.known) {
      const has = ([label, value]) => info.labels?.[label] === value;
      if (silent || info.state !== "up" || !Object.entries(job.needs).every(has)) continue;
      const coming = this.jobs.filter((each) => each.node === node && !each.begun && !each.end);
      const room = info.capacity.free.memory_bytes - coming.reduce((sum, each) => sum + memory(each), 0);
      if (room >= memory(job)) fits.push({ node, room });
    }
    return fits.sort((a, b) => b.room - a.room)[0]?.node;
  }

  async send(job, attempt) {
    if (job.begun) return;
    const { node, container, deadline } = job;
    const labels = { ...job.spec.labels, scheduler: this.ledger.token };
    const args = { ...job.spec, container, labels, stop_on_disconnect_s: DISCONNECT_S };
    const { id } = await this.mailbox.send(node, "run", args, { id: `run-${container}`, deadline });
    const { error } = await this.mailbox.told(node, id, "result", RESULT_S * 1000);
    if (error) await sleep(RETRY_S * 1000);
    if (!error || job.begun || job.attempt !== attempt) return;
    const full = error.details?.rule?.startsWith("capacity.");
    const begins = !full && !NOT_BEGUN.includes(error.code);
    this.tell(job, begins ? { error: error.code, message: error.message } : { why: error.code });
  }

  async guard(job, attempt) {
    const { node } = job;
    const wait = DISCONNECT_S + (job.spec.grace_s ?? 10) + MARGIN_S;
    const over = () => job.attempt !== attempt || job.outcome;
    while (!over()) {
      await this.when(() => over() || this.nodes.silent(node));
      const lost = await unheard(this.streams, node, wait * 1000, over);
      if (lost && !over()) this.tell(job, { why: "node silent" });
    }
  }
}

process.on("unhandledRejection", (error) => {
  console.error(error);
  process.exit(1);
});
const { NATS_URL, NATS_NKEY, NATS_CREDS, NATS_CA, WHARFSIDE_PEER } = process.env;
const credentials = NATS_NKEY || NATS_CREDS;
const fleet = await Fleet.open({ servers: NATS_URL, credentials, ca: NATS_CA, user: WHARFSIDE_PEER });
const [jobs, ledger] = process.argv.slice(2);
const kept = new Ledger(ledger, JSON.parse(readFileSync(jobs, "utf8")));
await new Scheduler(fleet, await Streams.of(fleet), kept).run();
process.exit(0);
