import assert from "node:assert/strict";
import { test } from "node:test";
import { container, fleet, newName, node, streams, until } from "./kit.js";

const LIFE = ["created", "started", "exited", "deleted"];
const types = (events) => events.map((event) => event.value.type);

/** A whole life, up to the end of its container. */
async function live() {
  const name = newName();
  await fleet.call(node, "run", container(name, "exit 5", { auto_remove: true }));
  return name;
}

test("follow by direct get, with the live events as the bell", async () => {
  const name = newName();
  const followed = until(streams.follow(`${node}.${name}.>`), (event) => event.value.type === "deleted");
  await fleet.call(node, "run", container(name, "exit 5", { auto_remove: true }));
  const events = await followed;
  assert.deepEqual(types(events), LIFE);
  const { data } = events[2].value;
  assert.deepEqual([data.exit_code, data.reason, data.status_known], [5, "self", true]);
  assert.deepEqual(events.slice(1).map((e) => e.value.prev_seq), events.slice(0, -1).map((e) => e.value.seq));
});

test("resume behind a sequence of the stream: nothing twice, nothing missed", async () => {
  const name = await live();
  const filter = `${node}.${name}.>`;
  const begun = await until(streams.follow(filter), (event) => event.value.type === "started");
  const rest = await until(streams.follow(filter, begun.at(-1).seq + 1), (event) => event.value.type === "deleted");
  assert.deepEqual(types([...begun, ...rest]), LIFE);
});

test("a whole stream, page by page: in order, each once", async () => {
  const seqs = [];
  for await (const event of streams.read("WHARFSIDE_EVT", `${fleet.prefix}.evt.>`)) seqs.push(event.seq);
  assert.ok(seqs.length > 4);
  assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b));
});

test("the durable consumer goes on where the last one acked", async () => {
  const name = await live();
  const ofIt = (event) => event.subject.startsWith(`${fleet.prefix}.evt.${node}.${name}.`);
  const seen = [];
  for (const last of ["started", "deleted"]) {
    for await (const event of streams.durable()) {
      await event.ack();
      if (ofIt(event)) seen.push(event);
      if (ofIt(event) && event.value.type === last) break;
    }
  }
  assert.deepEqual(types(seen), LIFE);
});

test("what is handed back comes again, the same", async () => {
  const name = await live();
  const seen = [];
  for await (const event of streams.durable()) {
    const wanted = event.subject.endsWith(`.${name}.started`);
    if (wanted) seen.push(event.value.event_id);
    if (wanted && seen.length === 1) event.again();
    else await event.ack();
    if (seen.length === 2) break;
  }
  assert.equal(seen[0], seen[1]);
});
