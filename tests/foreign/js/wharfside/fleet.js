// One connection: commands to nodes by request and reply, and errors as they came.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect, credsAuthenticator, errors, headers, nkeyAuthenticator } from "@nats-io/transport-node";
import { decode, encode } from "./codec.js";

export const newId = () => randomUUID().replaceAll("-", "");

/** What a node answered instead of a value. `code`, `stage` and `details` as in ErrorBody. */
export class CommandError extends Error {
  constructor(result) {
    super(`${result.op}: ${result.error.code}: ${result.error.message}`);
    Object.assign(this, { result, code: result.error.code, stage: result.error.stage, details: result.error.details ?? {} });
  }
}

/** Nobody listens there: the node is away, or there is none of that name. */
export class NodeAway extends Error {}

const authenticatorOf = (path, bytes) =>
  path.endsWith(".creds") ? credsAuthenticator(bytes) : nkeyAuthenticator(new TextEncoder().encode(bytes.toString().trim()));

/** The value of a Result. Throws CommandError. */
export function valueOf(result) {
  if (!result.ok) throw new CommandError(result);
  return result.value ?? {};
}

export class Fleet {
  constructor(connection, peer, prefix) {
    Object.assign(this, { connection, peer, prefix, sessions: new Set() });
    this.#watch();
  }

  /**
   * `user`: the name that `wharfside auth add-user` made, whose inbox, sessions and consumer are its
   * own. `credentials`: its file, a seed (`.nk`) or a JWT with one (`.creds`). `ca`: whom to trust, with TLS.
   */
  static async open({ servers, credentials, ca, user, prefix = "wharfside.v1" }) {
    const authenticator = credentials && authenticatorOf(credentials, await readFile(credentials));
    // The NATS client compares names alone: of an address it must be told what to compare.
    const tls = ca && { caFile: ca, host: new URL(servers).hostname };
    const patience = { maxReconnectAttempts: -1, reconnectTimeWait: 250 };
    const own = { name: user, inboxPrefix: `_INBOX.${user}` };
    const connection = await connect({ servers, authenticator, tls, ...own, ...patience });
    return new Fleet(connection, user, prefix);
  }

  async #watch() {
    for await (const { type } of this.connection.status()) {
      if (type === "reconnect") this.sessions.forEach((session) => session.reconnected());
    }
  }

  close() {
    return this.connection.drain();
  }

  /** The Result, whatever it says. `more`: id, deadline, expect, actor. */
  async request(node, op, args = {}, { timeout = 10_000, trace, ...more } = {}) {
    const command = { id: newId(), op, node, args, ...more };
    return (await this.raw(node, op, encode(command), { timeout, trace })).result;
  }

  async raw(node, op, payload, { timeout = 10_000, trace } = {}) {
    const carried = headers();
    if (trace) carried.set("traceparent", trace);
    try {
      const answer = await this.connection.request(`${this.prefix}.rpc.${node}.${op}`, payload, { timeout, headers: carried });
      return { result: decode(answer.data), headers: answer.headers };
    } catch (error) {
      if (isNoResponders(error)) throw new NodeAway(`${node} is not connected`);
      throw error;
    }
  }

  /** The value. Throws CommandError, NodeAway. */
  async call(node, op, args, more) {
    return valueOf(await this.request(node, op, args, more));
  }

  /** Asks again until the process has ended. */
  async wait(node, container, more = {}) {
    for (;;) {
      const value = await this.call(node, "wait", { container, timeout_s: 20, ...more }, { timeout: 30_000 });
      if (value.exit) return value;
    }
  }
}

const isNoResponders = (error) =>
  error instanceof errors.NoRespondersError || error?.cause instanceof errors.NoRespondersError;
