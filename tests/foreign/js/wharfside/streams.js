// What the streams keep, read by direct get and by the user's own durable consumer. No consumer is made.

import { headers } from "@nats-io/transport-node";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { decode } from "./codec.js";

const PAGE = 500;
const NOTHING_THERE = 404;

/** A stored message as a Stored: its place, its headers, and what it says. */
const stored = (message) => ({
  seq: message.seq,
  subject: message.subject,
  headers: message.header ?? message.headers ?? headers(),
  value: message.data.length ? decode(message.data) : null,
});

export class Streams {
  constructor(fleet, manager) {
    Object.assign(this, { fleet, manager, js: jetstream(fleet.connection) });
  }

  /** Without asking for the account's information, to which a user has no right. */
  static async of(fleet) {
    return new Streams(fleet, await jetstreamManager(fleet.connection, { checkAPI: false }));
  }

  /** Everything from `seq` on that matches, page by page, up to the end. */
  async *read(stream, subject, seq = 1) {
    for (let pending = 1; pending > 0; ) {
      pending = 0;
      for (const message of await this.#page(stream, { batch: PAGE, seq, next_by_subj: subject })) {
        seq = message.seq + 1;
        pending = message.pending;
        yield stored(message);
      }
    }
  }

  async #page(stream, asked) {
    const page = [];
    try {
      for await (const message of await this.manager.direct.getBatch(stream, asked)) page.push(message);
    } catch (error) {
      if (error.code !== NOTHING_THERE) throw error;
    }
    return page;
  }

  /** The newest under exactly this subject, or null. */
  async last(stream, subject) {
    const message = await this.manager.direct.getMessage(stream, { last_by_subj: subject });
    return message && stored(message);
  }

  /**
   * The newest under exactly this subject, once it is there and `wanted`. `live`: where it is
   * republished, the bell. Throws where that takes too long.
   */
  async newest(stream, subject, live, wanted = () => true, timeout = 40_000) {
    const bell = this.#bell(live);
    const end = Date.now() + timeout;
    try {
      while (Date.now() < end) {
        const rung = bell.next(1000);
        const there = await this.last(stream, subject);
        if (there && wanted(there)) return there;
        await rung;
      }
      throw new Error(`nothing wanted under ${subject} after ${timeout} ms`);
    } finally {
      bell.close();
    }
  }

  /** The values of a bucket by key; a key whose last message is a deletion is not there. */
  async bucket(name, keys = ">") {
    const values = new Map();
    const root = `$KV.${name}.`;
    for await (const { subject, headers, value } of this.read(`KV_${name}`, root + keys)) {
      const key = subject.slice(root.length);
      if (headers.get("KV-Operation")) values.delete(key);
      else values.set(key, value);
    }
    return values;
  }

  /**
   * Events from `seq` on, for ever: `live` rings, the stream tells. Ends when the consumer of this
   * generator leaves it.
   */
  async *follow(filter = ">", seq = 1) {
    const { prefix } = this.fleet;
    const bell = this.#bell(`${prefix}.live.evt.${filter}`);
    try {
      for (;;) {
        const rung = bell.next(1000);
        for await (const event of this.read("WHARFSIDE_EVT", `${prefix}.evt.${filter}`, seq)) {
          seq = event.seq + 1;
          yield event;
        }
        await rung;
      }
    } finally {
      bell.close();
    }
  }

  /** Rung by whatever comes on `live`; the server has it before anything that is asked next. */
  #bell(live) {
    const bell = new Bell();
    const subscription = this.fleet.connection.subscribe(live, { callback: () => bell.ring() });
    bell.close = () => subscription.unsubscribe();
    return bell;
  }

  /**
   * Events by the durable consumer that the provisioner made for this user, until they are acked. One
   * at a time: what is pulled ahead and left comes again only when its ack is overdue (30 s).
   */
  async *durable() {
    const config = { ack_policy: "explicit" };
    const info = { stream_name: "WHARFSIDE_EVT", name: this.fleet.peer, config };
    const consumer = this.js.consumers.getConsumerFromInfo(info);
    for (;;) {
      const message = await consumer.next({ expires: 5000 });
      if (message) yield { ...stored(message), ack: () => message.ackAck(), again: () => message.nak() };
    }
  }
}

/** A ring between two looks is not lost; without one, `next` is done after a while anyway. */
class Bell {
  ring() {
    if (this.wake) this.wake();
    else this.rung = true;
  }

  async next(ms) {
    if (!this.rung) {
      let timer;
      await new Promise((resolve) => {
        this.wake = resolve;
        timer = setTimeout(resolve, ms);
      });
      clearTimeout(timer);
    }
    this.rung = false;
    this.wake = undefined;
  }
}
