import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { HTTP } from "cloudevents";
import { encode } from "../wharfside/codec.js";
import { newId } from "../wharfside/fleet.js";
import { container, fleet, newName, node, remove, streams } from "./kit.js";

const propagator = new W3CTraceContextPropagator();
const ours = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 1 };

/** What the propagator makes of headers; undefined where it finds no valid context. */
function contextOf(headers) {
  const getter = { get: (from, key) => from.get(key) || undefined, keys: (from) => from.keys() };
  return trace.getSpanContext(propagator.extract(ROOT_CONTEXT, headers, getter));
}

function injected() {
  const carrier = {};
  const context = trace.setSpanContext(ROOT_CONTEXT, ours);
  propagator.inject(context, carrier, { set: (into, key, value) => (into[key] = value) });
  return carrier.traceparent;
}

/** The first event of a container, by its type. */
async function told(name, type) {
  for await (const event of streams.follow(`${node}.${name}.${type}`)) return event;
}

test("the trace goes through a command: into its answer and the events that it causes", async () => {
  const name = newName();
  const payload = encode({ id: newId(), op: "run", node, args: container(name, "sleep 1000") });
  const answer = await fleet.raw(node, "run", payload, { trace: injected() });
  assert.equal(contextOf(answer.headers).traceId, ours.traceId);
  const event = await told(name, "started");
  assert.equal(contextOf(event.headers).traceId, ours.traceId);
  await remove(name);
});

test("a live event is a CloudEvent to the official SDK", async () => {
  const name = newName();
  await fleet.call(node, "run", container(name, "exit 3"));
  const { headers, value } = await told(name, "exited");
  const carried = Object.fromEntries(headers.keys().map((key) => [key, headers.last(key)]));
  const event = HTTP.toEvent({ headers: carried, body: "" });
  assert.ok(event.validate());
  assert.deepEqual([event.id, event.type, event.subject], [value.event_id, "io.wharfside.container.exited", name]);
  assert.equal(new Date(event.time).getTime(), new Date(value.occurred_at).getTime());
  await remove(name);
});
