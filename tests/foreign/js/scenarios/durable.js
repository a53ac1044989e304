import assert from "node:assert/strict";
import { test } from "node:test";
import { Mailbox } from "../wharfside/durable.js";
import { newId } from "../wharfside/fleet.js";
import { container, fleet, newName, node, remove, streams } from "./kit.js";

const mailbox = new Mailbox(fleet, streams);

test("a durable command is accepted, run, and its result kept", async () => {
  const name = newName();
  const { id } = await mailbox.send(node, "run", container(name, "sleep 1000"));
  const accepted = await mailbox.told(node, id, "accepted");
  const result = await mailbox.told(node, id, "result");
  assert.deepEqual([accepted.op, result.ok, result.value.container], ["run", true, name]);
  assert.equal(accepted.digest, result.digest);
  await remove(name);
});

test("sent twice it is one, over both ways", async () => {
  const name = newName();
  const id = newId();
  const args = container(name, "sleep 1000");
  await mailbox.send(node, "run", args, { id });
  const again = await mailbox.send(node, "run", args, { id });
  assert.equal(again.duplicate, true);
  const result = await mailbox.told(node, id, "result");
  const asked = await fleet.request(node, "run", args, { id });
  assert.deepEqual([asked.replayed, asked.value], [true, result.value]);
  await remove(name);
});

test("an id that was used for another command shows by its digest", async () => {
  const name = newName();
  const id = newId();
  await mailbox.send(node, "run", container(name, "sleep 1000"), { id });
  const mine = await mailbox.told(node, id, "result");
  await mailbox.send(node, "run", container(name, "sleep 7"), { id });
  await assert.rejects(fleet.call(node, "run", container(name, "sleep 7"), { id }), { code: "conflict" });
  assert.equal((await mailbox.told(node, id, "result")).digest, mine.digest);
  await remove(name);
});

test("its error is a result, too", async () => {
  const { id } = await mailbox.send(node, "start", { container: "nobody" });
  const result = await mailbox.told(node, id, "result");
  assert.deepEqual([result.ok, result.error.code], [false, "not-found"]);
});

test("an op that changes nothing has no business there", async () => {
  const { id } = await mailbox.send(node, "ping", {});
  assert.equal((await mailbox.told(node, id, "result")).error.code, "unsupported");
});
