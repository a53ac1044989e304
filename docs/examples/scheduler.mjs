// A scheduler of batch jobs: each runs on one node at a time, and elsewhere once its node is lost.
//
//   node scheduler.mjs JOBS LEDGER
//
// The twin of scheduler.py, with the same files and the same environment, on the public NATS client.
// `wharfside/` is what tests/foreign/js needs of the protocol: copy it, or write your own.

import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Mailbox } from "../../tests/foreign/js/wharfside/durable.js";
import { decode } from "../../tests/foreign/js/wharfside/codec.js";
import { presences } from "../../tests/foreign/js/wharfside/discovery.js";
import { Fleet } from "../../tests/foreign/js/wharfside/fleet.js";
import { Streams } from "../../tests/foreign/js/wharfside/streams.js";

const { SILENT_S = 90, DISCONNECT_S = 60, MARGIN_S = 30, NATS_URL, NATS_NKEY, NATS_CREDS, NATS_CA, WHARFSIDE_PEER } = process.env;
const SILENT = SILENT_S * 1000; // puts come each 30 s
const MARGIN = MARGIN_S * 1000; // for SIGKILL (20 s) and clocks
const BEGIN = (MARGIN * 2) / 3; // what is not begun by then must not begin: it may be elsewhere
const RETRY = 2000;
const RESULT = 24 * 3600 * 1000;
const ELSEWHERE = ["busy", "draining", "deadline-exceeded"]; // nothing of it was done
const AGAIN = ["stop", "node-reboot", "monitor-lost"]; // the job did not end by itself

class Scheduler {
  nodes = new Map(); // by name: what it said of itself last, and the timer of its silence
  sent = new Map(); // by job: the attempt whose result is awaited

  constructor(fleet, streams, jobs, ledger) {
    const kept = existsSync(ledger) ? JSON.parse(readFileSync(ledger, "utf8")) : {};
    const { token = randomBytes(4).toString("hex"), seq = 0, leftovers = [], jobs: known = {} } = kept;
    Object.assign(this, { fleet, streams, ledger, token, seq, leftovers, mailbox: new Mailbox(fleet, streams) });
    const fresh = { needs: {}, attempt: 0, node: null, deadline: null, begun: false, end: null };
    this.jobs = jobs.map((job) => ({ ...fresh, ...job, ...known[job.name] }));
  }

  /** First the ledger, then the command: what may have been sent is always known. */
  save() {
    const jobs = Object.fromEntries(this.jobs.map((job) => [job.name, job]));
    const file = openSync(`${this.ledger}.new`, "w");
    writeSync(file, JSON.stringify({ token: this.token, seq: this.seq, leftovers: this.leftovers, jobs }));
    fsyncSync(file);
    closeSync(file);
    renameSync(`${this.ledger}.new`, this.ledger);
  }

  async run() {
    const { fleet, streams } = this;
    this.seq ||= (await streams.last("WHARFSIDE_EVT", `${fleet.prefix}.evt.>`))?.seq ?? 0;
    const told = fleet.connection.subscribe(`${fleet.prefix}.kv.nodes.>`);
    told.closed.catch(crash);
    this.hearAll(told).catch(crash);
    await fleet.connection.flush(); // the bell first, then what is stored
    for (const info of (await presences(streams)).values()) this.hear(info);
    for (const [node, container] of this.leftovers) this.delete(node, container);
    for (const job of this.placed()) {
      if (!job.begun) this.send(job);
      if (!this.nodes.has(job.node)) this.lose(job.node);
    }
    this.place();
    for await (const { seq, value } of streams.follow(">", this.seq + 1)) {
      this.seq = seq;
      this.look(value);
      this.place();
      if (this.jobs.every((job) => job.end)) break;
    }
    await Promise.all(this.leftovers.map(([node, container]) => this.delete(node, container)));
    this.save();
  }

  async hearAll(told) {
    for await (const message of told) {
      if (message.data.length) this.hear(decode(message.data));
      this.place();
    }
  }

  /** Counted is from when we heard it, by our own clock: later is safe. */
  hear(info) {
    const known = this.nodes.get(info.node);
    clearTimeout(known?.timer);
    const timer = setTimeout(() => this.lose(info.node), SILENT);
    this.nodes.set(info.node, { info, timer, silent: false });
  }

  /** By the end of the wait the node itself has stopped all that it ran for us. */
  async lose(name) {
    const node = { ...this.nodes.get(name), silent: true };
    this.nodes.set(name, node);
    const jobs = this.placed(name);
    const grace = Math.max(0, ...jobs.map((job) => job.spec.grace_s ?? 10));
    for (const wait of [(Number(DISCONNECT_S) + grace) * 1000 + MARGIN, 0]) {
      // one that answers cannot put its presence, no more: what it runs runs on
      while (await this.fleet.call(name, "ping", {}, { timeout: RETRY }).then(() => true, () => false)) await sleep(MARGIN);
      await sleep(wait);
    }
    if (this.nodes.get(name) !== node) return; // it is back
    for (const job of jobs) if (job.node === name && !job.end) this.giveUp(job, "node silent");
    this.place();
  }

  /** One of our containers changed: does it end its job, or the attempt? */
  look({ node, container, process, type, data }) {
    const job = this.placed(node).find((each) => this.name(each) === container);
    if (!job) return; // not ours, or of an attempt that was given up
    if (type === "started") this.begin(job);
    if (type === "deleted") this.giveUp(job, "gone");
    if (type !== "exited" || process !== "init") return;
    if (AGAIN.includes(data.reason)) this.giveUp(job, data.reason);
    else this.finish(job, { exit_code: data.exit_code ?? null, reason: data.reason });
  }

  placed = (node) => this.jobs.filter((job) => job.node && !job.end && (!node || job.node === node));

  place() {
    for (const job of this.jobs) {
      const node = job.node || job.end ? null : this.choose(job);
      if (!node) continue;
      const deadline = new Date(Date.now() + BEGIN).toISOString();
      Object.assign(job, { attempt: job.attempt + 1, node, begun: false, deadline });
      this.save();
      this.tell(job, "placed");
      this.send(job);
    }
  }

  /** The node with the labels and the most room; the node itself has the last word. */
  choose(job) {
    const memory = (each) => each.spec.limits?.memory_bytes ?? 0;
    const fits = [];
    for (const [node, { info, silent }] of this.nodes) {
      if (silent || info.state !== "up") continue;
      if (Object.entries(job.needs).some(([label, value]) => info.labels?.[label] !== value)) continue;
      const coming = this.placed(node).filter((other) => !other.begun);
      const room = info.capacity.free.memory_bytes - coming.reduce((sum, other) => sum + memory(other), 0);
      if (room >= memory(job)) fits.push({ node, room });
    }
    fits.sort((a, b) => b.room - a.room || (a.node < b.node ? -1 : 1));
    return fits[0]?.node;
  }

  /** The id is made of job and attempt: sent twice, it is the same command. */
  async send(job) {
    const { attempt, node, deadline } = job;
    const container = this.name(job);
    const labels = { ...job.spec.labels, scheduler: this.token };
    const args = { ...job.spec, container, labels, stop_on_disconnect_s: Number(DISCONNECT_S) };
    const { id } = await this.mailbox.send(node, "run", args, { id: `run-${container}`, deadline });
    const { error } = await this.result(node, id);
    const current = () => job.attempt === attempt && job.node && !job.end && !job.begun;
    if (!error || !current()) return; // its events tell the rest
    if (!ELSEWHERE.includes(error.code) && !error.details?.rule?.startsWith("capacity."))
      return this.finish(job, { error: error.code, message: error.message });
    await sleep(RETRY);
    if (current()) this.giveUp(job, error.code);
    this.place();
  }

  begin(job) {
    job.begun = true;
    this.save();
  }

  async result(node, id) {
    const { prefix } = this.fleet;
    const subject = `res.${node}.${id}.result`;
    const live = `${prefix}.live.${subject}`;
    return (await this.streams.newest("WHARFSIDE_RES", `${prefix}.${subject}`, live, undefined, RESULT)).value;
  }

  giveUp(job, why) {
    this.clear(job, () => Object.assign(job, { node: null }), "given up", { why });
  }

  finish(job, end) {
    this.clear(job, () => Object.assign(job, { end }), "ended", end);
  }

  /** Its container goes; a node that is away reads that first thing when it is back. */
  clear(job, change, told, facts) {
    const leftover = [job.node, this.name(job)];
    const { attempt, node } = job;
    this.leftovers.push(leftover);
    change();
    this.save();
    this.tell({ ...job, attempt, node }, told, facts);
    this.delete(...leftover).catch(crash);
  }

  async delete(node, container) {
    await this.mailbox.send(node, "delete", { container, force: true }, { id: `delete-${container}` });
    this.leftovers = this.leftovers.filter((each) => each[1] !== container);
  }

  name = (job) => `${job.name}-${job.attempt}-${this.token}`;

  tell({ name, attempt, node }, told, facts) {
    writeSync(1, `${JSON.stringify({ job: name, attempt, node, told, ...facts })}\n`);
  }
}

/** Whoever supervises us starts us again, and the ledger tells where we were. */
function crash(error) {
  console.error(error);
  process.exit(1);
}

process.on("unhandledRejection", crash);
const credentials = NATS_NKEY || NATS_CREDS;
const fleet = await Fleet.open({ servers: NATS_URL, credentials, ca: NATS_CA, user: WHARFSIDE_PEER });
const [jobs, ledger] = process.argv.slice(2);
const scheduler = new Scheduler(fleet, await Streams.of(fleet), JSON.parse(readFileSync(jobs, "utf8")), ledger);
await scheduler.run();
process.exit(0);
