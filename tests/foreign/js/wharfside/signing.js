// Signed commands: three headers over what a command says, whichever way it goes.

import { createHash } from "node:crypto";
import { encode as pack } from "@msgpack/msgpack";
import { fromPublic, fromSeed } from "@nats-io/nkeys";
import { isMap } from "./codec.js";

const DOMAIN = "wharfside-command-v1";
const bytes = (text) => new TextEncoder().encode(text);

/** Keys in order of their code points, and nothing that is nil. */
function canonical(value) {
  if (Array.isArray(value)) return value.map(canonical);
  if (!isMap(value)) return value;
  const keys = Object.keys(value).filter((key) => value[key] !== null && value[key] !== undefined);
  return Object.fromEntries(keys.sort(byCodePoint).map((key) => [key, canonical(value[key])]));
}

const byCodePoint = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The digest by which a node knows a command again, in lower case hex. */
export const digest = (op, args) =>
  createHash("sha256").update(pack([op, canonical(args)])).digest("hex");

/** What is signed. */
export function signed(command, at) {
  const { incarnation, run, revision } = command.expect ?? {};
  const fence = [incarnation, run, revision].map((each) => each ?? "-").join(" ");
  const sum = digest(command.op, command.args ?? {});
  return [DOMAIN, command.id, command.op, command.node, at, command.deadline, fence, sum].join("\n");
}

export function sign(command, seed, at) {
  const key = fromSeed(bytes(seed));
  const signature = key.sign(bytes(signed(command, at)));
  return {
    "Wharfside-Key": key.getPublicKey(),
    "Wharfside-Signed-At": at,
    "Wharfside-Signature": Buffer.from(signature).toString("base64url"),
  };
}

export function isSigned(command, headers) {
  const signature = Buffer.from(headers["Wharfside-Signature"], "base64url");
  const said = bytes(signed(command, headers["Wharfside-Signed-At"]));
  return fromPublic(headers["Wharfside-Key"]).verify(said, signature);
}
