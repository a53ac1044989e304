// Commands that wait in a node's mailbox, also while it is away.

import { encode } from "./codec.js";
import { newId } from "./fleet.js";

export class Mailbox {
  constructor(fleet, streams) {
    Object.assign(this, { fleet, streams });
  }

  /** Once the stream keeps it: its id, and whether it kept that id before. Throws where no stream does. */
  async send(node, op, args, { id = newId(), ...more } = {}) {
    const payload = encode({ id, op, node, args, ...more });
    const subject = `${this.fleet.prefix}.cmd.${node}.${op}`;
    const { duplicate } = await this.streams.js.publish(subject, payload, { msgID: `${node}.${id}` });
    return { id, duplicate };
  }

  /** `accepted` or `result` of the command: the bell first, then what is stored, until it is there. */
  async told(node, id, what, timeout = 15_000) {
    const { connection, prefix } = this.fleet;
    const subject = `${node}.${id}.${what}`;
    const bell = connection.subscribe(`${prefix}.live.res.${subject}`, { max: 1, timeout });
    const read = async () => (await this.streams.last("WHARFSIDE_RES", `${prefix}.res.${subject}`))?.value;
    try {
      await connection.flush();
      const there = await read();
      if (there) return there;
      for await (const _ of bell) break;
      return await read();
    } finally {
      bell.unsubscribe();
    }
  }
}
