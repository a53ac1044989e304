// Which nodes there are: by presence (also of those that are away), and by NATS micro (who answers now).

import { setTimeout as sleep } from "node:timers/promises";
import { Svcm } from "@nats-io/services";
import { decode } from "./codec.js";

const SERVICE = "wharfside-agent";

/** NodeInfo by name, as put every 30 s and on change. */
export const presences = (streams) => streams.bucket("WHARFSIDE_NODES");

/** The nodes as they tell of themselves; `changed` is called at each word, and at each silence. */
export class Nodes {
  known = new Map(); // by name: NodeInfo, and whether it is silent

  constructor(streams, silentMs, changed) {
    Object.assign(this, { streams, silentMs, changed });
  }

  /** Returns once all that is stored was heard. */
  async listen() {
    const { connection, prefix } = this.streams.fleet;
    const callback = (_, { data }) => data.length && this.#hear(decode(data));
    connection.subscribe(`${prefix}.kv.nodes.>`, { callback });
    await connection.flush(); // the bell first, then what is stored
    for (const info of (await presences(this.streams)).values()) this.#hear(info);
  }

  silent = (name) => this.known.get(name)?.silent ?? true;

  /** The silence is counted from when we hear of it, by our own clock: later is safe. */
  #hear(info) {
    clearTimeout(this.known.get(info.node)?.timer);
    const node = { info, silent: false };
    node.timer = setTimeout(() => this.#lose(node), this.silentMs);
    this.known.set(info.node, node);
    this.changed();
  }

  #lose(node) {
    node.silent = true;
    this.changed();
  }
}

/**
 * True after `ms` without a sign of life of the node; false at the first, or once it is `over`. Throws
 * where no server answers: who is cut off himself hears nobody.
 */
export async function unheard(streams, node, ms, over = () => false, every = 5000) {
  const put = async () => (await streams.last("KV_WHARFSIDE_NODES", `$KV.WHARFSIDE_NODES.${node}`))?.seq;
  const answers = () => streams.fleet.request(node, "ping", {}, { timeout: 2000 }).then(() => true, () => false);
  const first = await put();
  for (const end = performance.now() + ms; performance.now() < end; ) {
    await sleep(Math.min(every, end - performance.now()));
    if (over() || (await answers()) || (await put()) !== first) return false; // the bus last: it answers us
  }
  return true;
}

/** All answers to PING, INFO or STATS. */
export async function micro(fleet, verb) {
  const client = new Svcm(fleet.connection).client({ strategy: "stall", maxWait: 3000, stall: 500 });
  const answers = [];
  for await (const answer of await client[verb](SERVICE)) answers.push(answer);
  return answers;
}

/** A container's ContainerProjection, once it is there and as `wanted`. */
export async function projection(streams, node, name, wanted = () => true) {
  const key = `${node}.${name}`;
  const live = `${streams.fleet.prefix}.kv.containers.${key}`;
  const subject = `$KV.WHARFSIDE_CONTAINERS.${key}`;
  return (await streams.newest("KV_WHARFSIDE_CONTAINERS", subject, live, ({ value }) => value && wanted(value))).value;
}
