import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../wharfside/codec.js";
import { newId } from "../wharfside/fleet.js";
import { container, first, fleet, newName, other, remove, streams } from "./kit.js";

// On the second node, which no other scenario works on.

test("drain: progress while it lasts, no new work, and undrain", async () => {
  const name = newName();
  await fleet.call(other, "run", container(name, "sleep 1000", { stop_signal: "KILL" }));
  const id = newId();
  const told = fleet.connection.subscribe(`${fleet.prefix}.progress.${other}.${id}`);
  await fleet.connection.flush();
  const value = await fleet.call(other, "drain", { timeout_s: 20 }, { id, timeout: 30_000 });
  assert.deepEqual([value.drained, value.left_count], [true, 0]);
  const progress = decode((await first(told)).data);
  assert.deepEqual([progress.command, progress.op], [id, "drain"]);
  const more = fleet.call(other, "run", container(newName(), "true"));
  await assert.rejects(more, { code: "draining" });
  assert.equal((await fleet.call(other, "undrain")).was_draining, true);
  await remove(name, other);
});

test("resync tells where the node stands, and how far its events are told", async () => {
  const { snapshot } = await fleet.call(other, "resync", {});
  const events = streams.read("WHARFSIDE_EVT", `${fleet.prefix}.evt.${other}.>`);
  const seqs = [];
  for await (const { value } of events) seqs.push(value.seq);
  assert.ok(snapshot.published_through <= Math.max(...seqs));
  assert.deepEqual(seqs.slice().sort((a, b) => a - b), [...new Set(seqs)].sort((a, b) => a - b));
});

test("shipped output is read from its stream", async () => {
  const name = newName();
  await fleet.call(other, "run", container(name, "echo shipped", { io: { ship: true } }));
  await fleet.wait(other, name);
  const subject = `${fleet.prefix}.log.${other}.${name}.init`;
  let piece;
  while (!piece) piece = await streams.last("WHARFSIDE_LOGS", subject);
  const { chunks, offset } = piece.value;
  assert.deepEqual([Buffer.from(chunks[0].data).toString(), offset], ["shipped\n", 0]);
  await remove(name, other);
});
