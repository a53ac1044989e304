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

  /** `accepted` or `result` of the command, once the node has told it. */
  async told(node, id, what, timeout = 40_000) {
    const { prefix } = this.fleet;
    const subject = `res.${node}.${id}.${what}`;
    const live = `${prefix}.live.${subject}`;
    return (await this.streams.newest("WHARFSIDE_RES", `${prefix}.${subject}`, live, undefined, timeout)).value;
  }
}
