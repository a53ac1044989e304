import assert from "node:assert/strict";
import { test } from "node:test";
import { presences } from "../../wharfside/discovery.js";
import { Mailbox } from "../../wharfside/durable.js";
import { NodeAway } from "../../wharfside/fleet.js";
import { container, fleet, other, streams } from "../kit.js";

const { id, name } = JSON.parse(process.env.WHARFSIDE_ERRAND);

test("the node is away: its presence says so, and it answers nobody", async () => {
  assert.equal((await presences(streams)).get(other).state, "down");
  await assert.rejects(fleet.call(other, "ping"), NodeAway);
});

test("a durable command waits for it", async () => {
  const args = container(name, "sleep 1000");
  await new Mailbox(fleet, streams).send(other, "run", args, { id });
});
