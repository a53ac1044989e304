import assert from "node:assert/strict";
import { test } from "node:test";
import { projection } from "../wharfside/discovery.js";
import { newId } from "../wharfside/fleet.js";
import { container, fleet, newName, node, remove, streams } from "./kit.js";

const text = (bytes) => new TextDecoder().decode(bytes);

test("a container runs, ends, and tells how and what it said", async () => {
  const name = newName();
  const made = await fleet.call(node, "run", container(name, "echo grüße; exit 7"));
  assert.equal(made.run, 1);
  const { exit, output } = await fleet.wait(node, name, { output: true });
  assert.deepEqual([exit.exit_code, exit.reason, exit.status_known], [7, "self", true]);
  assert.equal(text(output.stdout), "grüße\n");
  await remove(name);
});

test("each step of a life, and what is known of it on the way", async () => {
  const name = newName();
  const state = async () => (await fleet.call(node, "inspect", { container: name })).state;
  await fleet.call(node, "create", container(name, "sleep 1000", { labels: { zone: "ä" } }));
  assert.equal(await state(), "created");
  await fleet.call(node, "start", { container: name });
  await fleet.call(node, "pause", { container: name });
  assert.equal(await state(), "paused");
  await fleet.call(node, "resume", { container: name });
  assert.equal(await state(), "running");
  const { containers } = await fleet.call(node, "list", { labels: { zone: "ä" } });
  assert.deepEqual(containers.map((each) => each.container), [name]);
  const { stats } = await fleet.call(node, "stats", { container: name });
  assert.ok(stats.pids.current >= 1);
  const { exit } = await fleet.call(node, "stop", { container: name, grace_s: 0 });
  assert.equal(exit.reason, "stop");
  await remove(name);
});

test("exec runs beside the container's own process", async () => {
  const name = newName();
  await fleet.call(node, "run", container(name, "sleep 1000"));
  const process = { args: ["/bin/sh", "-c", "echo in; echo out >&2; exit 3"] };
  const { exit, output } = await fleet.call(node, "exec", { container: name, process });
  assert.deepEqual([exit.exit_code, text(output.stdout), text(output.stderr)], [3, "in\n", "out\n"]);
  await remove(name);
});

test("the bucket has the state that the node tells", async () => {
  const name = newName();
  const { incarnation } = await fleet.call(node, "run", container(name, "sleep 1000"));
  const kept = await projection(streams, node, name, (value) => value.state === "running");
  assert.equal(kept.incarnation, incarnation);
  await remove(name);
});

test("the same id is the same command: a repeat gets the stored result", async () => {
  const name = newName();
  const id = newId();
  const made = await fleet.request(node, "run", container(name, "sleep 1000"), { id });
  const again = await fleet.request(node, "run", container(name, "sleep 1000"), { id });
  assert.deepEqual([made.ok, made.replayed, again.ok, again.replayed], [true, false, true, true]);
  assert.deepEqual(again.value, made.value);
  assert.equal(again.digest, made.digest);
  const { state, result } = await fleet.call(node, "result", { command: id });
  assert.deepEqual([state, result.value], ["done", made.value]);
  await remove(name);
});

test("the same id for something else is a conflict", async () => {
  const name = newName();
  const id = newId();
  await fleet.call(node, "run", container(name, "sleep 1000"), { id });
  await assert.rejects(fleet.call(node, "run", container(name, "sleep 7"), { id }), { code: "conflict" });
  await remove(name);
});
