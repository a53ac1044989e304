import assert from "node:assert/strict";
import { before, test } from "node:test";
import { projection } from "../wharfside/discovery.js";
import { Session } from "../wharfside/session.js";
import { Streams } from "../wharfside/streams.js";
import { container, fleet, newName, node, open, remove, until } from "./kit.js";

// A viewer's own connection and rights; what there is to see, the orchestrator has made.

let eyes;
let seen;
before(async () => {
  eyes = await open("eyes");
  seen = await Streams.of(eyes);
});

test("a viewer sees containers, their events, states and logs", async () => {
  const name = newName();
  const followed = until(seen.follow(`${node}.${name}.>`), (event) => event.value.type === "exited");
  await fleet.call(node, "run", container(name, "echo seen"));
  assert.equal((await followed).length, 3);
  const { containers } = await eyes.call(node, "list", { all: true });
  assert.ok(containers.some((each) => each.container === name));
  await projection(seen, node, name);
  const states = await seen.bucket("WHARFSIDE_CONTAINERS", `${node}.>`);
  assert.ok(states.has(`${node}.${name}`));
  const logs = [];
  for await (const frame of await Session.open(eyes, node, "logs", { container: name })) {
    if (frame.frame === "data") logs.push(...frame.chunks.map((chunk) => Buffer.from(chunk.data)));
  }
  assert.equal(Buffer.concat(logs).toString(), "seen\n");
  await remove(name);
});
