import assert from "node:assert/strict";
import { test } from "node:test";
import { HTTP } from "cloudevents";
import { fromHex, vectors } from "./kit.js";

test("the official SDK reads every event's headers, and finds them valid", () => {
  for (const { name, headers, json, msgpack } of vectors("events")) {
    const event = HTTP.toEvent({ headers, body: fromHex(msgpack) });
    assert.ok(event.validate(), name);
    const of = json.container === undefined ? "node" : "container";
    assert.equal(event.type, `io.wharfside.${of}.${json.type}`);
    assert.equal(event.source, `/wharfside/nodes/${json.node}`);
    assert.equal(decodeURIComponent(event.id), json.event_id);
    assert.equal(Number(event.sequence), json.seq);
    assert.equal(event.datacontenttype, "application/vnd.msgpack");
  }
});

test("header values are printable ASCII: all else is percent-encoded", () => {
  for (const { name, headers } of vectors("events")) {
    for (const value of Object.values(headers)) assert.match(value, /^[!#-~]+$/, name);
  }
});
