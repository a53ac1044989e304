// One I/O session: frames in order and once, in both directions, by credits (docs/protocol.md).

import { decode, encode } from "./codec.js";
import { newId } from "./fleet.js";

const COST = 64;
const CHUNK = 32 * 1024;
const MAX_FRAMES = 1024;
const PLACED = new Set(["data", "lost", "eof", "exit", "resize", "signal"]);

/** How far a frame moves the place of its direction. */
const cost = (frame) =>
  frame.frame === "data" ? frame.chunks.reduce((sum, chunk) => sum + chunk.data.length + COST, 0) : COST;

export class SessionReset extends Error {
  constructor(error) {
    super(`${error.code}: ${error.message}`);
    Object.assign(this, { code: error.code, details: error.details ?? {} });
  }
}

export class Session {
  #down = { expected: 0, taken: 0, told: 0, frames: 0, asked: -1, waiting: [] };
  #up = { end: 0, acked: 0, window: 0, kept: [] };
  #timers = new Set();
  #wakers = [];
  #heard = Date.now();
  #over = false;
  #error;

  constructor(fleet, node, window) {
    const name = `s${newId().slice(0, 20)}`;
    const root = `${fleet.prefix}.io.${node}.${fleet.peer}.${name}`;
    Object.assign(this, { fleet, node, window, name, up: `${root}.up`, drop: () => false });
    this.subscription = fleet.connection.subscribe(`${root}.down`, { callback: (_error, message) => this.#came(message) });
  }

  /** Opens one by `op` (attach, exec, logs); `value` is what the op answered. */
  static async open(fleet, node, op, args, { window = 512 * 1024, drop } = {}) {
    const session = new Session(fleet, node, window);
    if (drop) session.drop = drop;
    await fleet.connection.flush();
    try {
      const open = { peer: fleet.peer, session: session.name, window };
      session.value = await fleet.call(node, op, { ...args, open });
    } catch (error) {
      session.#end();
      throw error;
    }
    session.#begin(session.value.session);
    return session;
  }

  #begin(view) {
    this.view = view;
    this.#up.window = Math.max(this.#up.window, view.window);
    this.#every((view.idle_s * 1000) / 3, () => this.#mind());
    this.#ping();
    this.fleet.sessions.add(this);
  }

  /** Frames as the node told them, each once; ends behind the node's eof. Throws SessionReset. */
  async *[Symbol.asyncIterator]() {
    for (;;) {
      const frame = this.#down.waiting.shift();
      if (frame) {
        this.#down.taken += cost(frame);
        this.#down.frames += 1;
        this.#settle(frame.frame === "eof");
        yield frame;
        if (frame.frame === "eof") return this.#end();
        continue;
      }
      if (this.#over) {
        if (this.#error) throw this.#error;
        return;
      }
      await this.#changed();
    }
  }

  /** Bytes for the process, as fast as its credits allow. */
  async write(data, stream = "stdin") {
    for (let at = 0; at < data.length; at += CHUNK) {
      const chunk = data.subarray(at, at + CHUNK);
      await this.#add({ frame: "data", chunks: [{ stream, data: chunk }] });
    }
  }

  eof = () => this.#add({ frame: "eof" });
  resize = (rows, columns) => this.#add({ frame: "resize", rows, columns });
  signal = (signal) => this.#add({ frame: "signal", signal });

  close() {
    if (!this.#over) this.#send({ frame: "close" });
    this.#end();
  }

  async #add(frame) {
    const up = this.#up;
    const room = () => up.kept.length < MAX_FRAMES && (frame.frame !== "data" || up.end < up.acked + up.window);
    while (!room() && !this.#over) await this.#changed();
    if (this.#over) throw this.#error ?? new Error("the session is over");
    frame.at = up.end;
    up.end += cost(frame);
    up.kept.push(frame);
    this.#send(frame);
    if (up.kept.length === 1) this.#pingWhileUnacked(250);
  }

  #came(message) {
    const frame = decode(message.data);
    this.#heard = Date.now();
    if (this.drop(frame)) return;
    if (PLACED.has(frame.frame)) this.#take(frame);
    else this.#heed(frame);
  }

  #take(frame) {
    const down = this.#down;
    if (frame.at > down.expected) return this.#again();
    if (frame.at < down.expected) return undefined;
    down.expected += cost(frame);
    down.waiting.push(frame);
    return this.#wake();
  }

  /** Once for each gap. */
  #again() {
    if (this.#down.asked === this.#down.expected) return;
    this.#down.asked = this.#down.expected;
    this.#send({ frame: "again", at: this.#down.expected });
  }

  #heed(frame) {
    const up = this.#up;
    if (frame.frame === "ack" && frame.at >= up.acked) {
      Object.assign(up, { acked: frame.at, window: frame.window });
      while (up.kept.length && up.kept[0].at + cost(up.kept[0]) <= frame.at) up.kept.shift();
    } else if (frame.frame === "again") {
      up.kept.filter((kept) => kept.at >= frame.at).forEach((kept) => this.#send(kept));
    } else if (frame.frame === "ping") {
      if (frame.at > this.#down.expected) this.#send({ frame: "again", at: this.#down.expected });
      else this.#ack();
    } else if (frame.frame === "reset") {
      this.#error = new SessionReset(frame.error);
      this.#end();
    } else if (frame.frame === "close") {
      this.#end();
    }
    this.#wake();
  }

  /** Acks at half a window or a quarter of the frames, or a little later. */
  #settle(now) {
    const { taken, told, frames } = this.#down;
    if (now || taken - told >= this.window / 2 || frames >= MAX_FRAMES / 4) this.#ack();
    else if (!this.settling) this.settling = this.#after(100, () => this.#ack());
  }

  #ack() {
    this.settling = undefined;
    Object.assign(this.#down, { told: this.#down.taken, frames: 0 });
    this.#send({ frame: "ack", at: this.#down.taken, window: this.window });
  }

  /** A node that has said nothing for so long is gone, or holds us for gone. */
  #mind() {
    if (Date.now() - this.#heard <= this.view.idle_s * 1000) return this.#ping();
    this.#error = new SessionReset({ code: "canceled", message: `nothing heard of ${this.node} for ${this.view.idle_s} s` });
    return this.#end();
  }

  /** Whatever was on its way may be lost, both ways. */
  reconnected() {
    this.#ack();
    this.#ping();
  }

  #ping() {
    this.#send({ frame: "ping", at: this.#up.end });
  }

  #pingWhileUnacked(ms) {
    this.#after(ms, () => {
      if (this.#up.kept.length === 0) return;
      this.#ping();
      this.#pingWhileUnacked(Math.min(ms * 2, (this.view.idle_s * 1000) / 2));
    });
  }

  #send(frame) {
    if (!this.fleet.connection.isClosed()) this.fleet.connection.publish(this.up, encode(frame));
  }

  #after(ms, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #every(ms, act) {
    this.#after(ms, () => {
      act();
      this.#every(ms, act);
    });
  }

  #changed() {
    return new Promise((resolve) => this.#wakers.push(resolve));
  }

  #wake() {
    this.#wakers.splice(0).forEach((resolve) => resolve());
  }

  #end() {
    this.#over = true;
    this.#timers.forEach(clearTimeout);
    this.subscription.unsubscribe();
    this.fleet.sessions.delete(this);
    this.#wake();
  }
}
