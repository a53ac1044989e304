import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "../wharfside/codec.js";
import { Mailbox } from "../wharfside/durable.js";
import { newId } from "../wharfside/fleet.js";
import { fromHex, vectors } from "../standards/kit.js";
import { fleet, node, streams } from "./kit.js";

test("the node tells what is wrong with each malformed command, and lives on", async () => {
  for (const { name, msgpack, error, says } of vectors("malformed")) {
    const { result } = await fleet.raw(node, "ping", fromHex(msgpack));
    assert.deepEqual([result.ok, result.error.code], [false, error], name);
    assert.ok(result.error.message.includes(says), `${name}: ${result.error.message}`);
  }
  assert.equal((await fleet.call(node, "ping")).node, node);
});

test("in the mailbox, too: where the id can be read, a result tells why", async () => {
  const id = newId();
  const payload = encode({ id, op: "run", node, args: 7 });
  await streams.js.publish(`${fleet.prefix}.cmd.${node}.run`, payload, { msgID: `${node}.${id}` });
  const { ok, error } = await new Mailbox(fleet, streams).told(node, id, "result");
  assert.deepEqual([ok, error.code], [false, "invalid"]);
});
