// Which nodes there are: by presence (also of those that are away), and by NATS micro (who answers now).

import { Svcm } from "@nats-io/services";

const SERVICE = "wharfside-agent";

/** NodeInfo by name, as put every 30 s and on change. */
export const presences = (streams) => streams.bucket("WHARFSIDE_NODES");

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
