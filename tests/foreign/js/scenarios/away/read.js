import assert from "node:assert/strict";
import { test } from "node:test";
import { Mailbox } from "../../wharfside/durable.js";
import { container, fleet, other, remove, streams } from "../kit.js";

const { id, name } = JSON.parse(process.env.WHARFSIDE_ERRAND);

test("an orchestrator that has been restarted reads what became of it, and asks again in vain", async () => {
  const mailbox = new Mailbox(fleet, streams);
  const result = await mailbox.told(other, id, "result");
  assert.deepEqual([result.ok, result.value.container], [true, name]);
  const again = await fleet.request(other, "run", container(name, "sleep 1000"), { id });
  assert.deepEqual([again.replayed, again.value], [true, result.value]);
  await remove(name, other);
});
