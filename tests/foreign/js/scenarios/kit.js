// What the scenarios share: the site that the test has made for them, and a connection to it.

import { after } from "node:test";
import { Fleet } from "../wharfside/fleet.js";
import { Streams } from "../wharfside/streams.js";

/** {servers, prefix, nodes, rootfs, users: {name: credentials}, ca}, told by tests/foreign/kit.py. */
export const site = JSON.parse(process.env.WHARFSIDE_SITE);
export const [node, other] = site.nodes;

const opened = [];
after(() => Promise.all(opened.map((fleet) => fleet.close())));

export async function open(user = "ops") {
  const fleet = await Fleet.open({ servers: site.servers, ca: site.ca, credentials: site.users[user], user });
  opened.push(fleet);
  return fleet;
}

export const fleet = await open();
export const streams = await Streams.of(fleet);

let numbers = 0;
export const newName = () => `js-${process.pid}-${(numbers += 1)}`;

/** The arguments of `create` and `run` for a shell's command. */
export const container = (name, script, more = {}) => ({
  container: name,
  source: { rootfs: site.rootfs },
  process: { args: ["/bin/sh", "-c", script] },
  ...more,
});

export const remove = (name, at = node) => fleet.call(at, "delete", { container: name, force: true });

/** The first of an endless row for which `wanted` holds. */
export async function first(row, wanted = () => true) {
  for await (const each of row) if (wanted(each)) return each;
  throw new Error("the row ended before it");
}

/** Those up to the one for which `last` holds. */
export async function until(row, last) {
  const seen = [];
  await first(row, (each) => seen.push(each) && last(each));
  return seen;
}
