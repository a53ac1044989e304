import assert from "node:assert/strict";
import { test } from "node:test";
import Ajv2020 from "ajv/dist/2020.js";
import { schemas } from "../standards/kit.js";
import { micro, presences } from "../wharfside/discovery.js";
import { NodeAway } from "../wharfside/fleet.js";
import { toJson } from "../wharfside/jsonform.js";
import { fleet, node, open, site, streams } from "./kit.js";

/** A node on a busy machine may take longer than others wait for one more: asked again, then. */
async function all(connection, verb) {
  for (;;) {
    const answers = await micro(connection, verb);
    if (answers.length >= site.nodes.length) return answers;
  }
}

test("NATS micro finds every node: ping, info, stats", async () => {
  for (const verb of ["ping", "info", "stats"]) {
    const answers = await all(fleet, verb);
    assert.deepEqual(answers.map((each) => each.metadata.node).sort(), site.nodes);
    assert.ok(answers.every((each) => each.type === `io.nats.micro.v1.${verb}_response`));
  }
});

test("info names the node's subject and its ops", async () => {
  const [answer] = (await all(fleet, "info")).filter((each) => each.metadata.node === node);
  const [endpoint] = answer.endpoints;
  assert.equal(endpoint.subject, `${fleet.prefix}.rpc.${node}.*`);
  assert.ok(endpoint.metadata.ops.split(",").includes("run"));
});

test("each op that a node knows has schemas, and its answers fit them", async () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(schemas, "wharfside");
  const [answer] = (await all(fleet, "info")).filter((each) => each.metadata.node === node);
  const ops = answer.endpoints[0].metadata.ops.split(",");
  assert.deepEqual(ops.sort(), Object.keys(schemas.ops).sort());
  for (const op of ["ping", "info", "list"]) {
    const value = toJson(await fleet.call(node, op));
    const fits = ajv.validate({ $ref: `wharfside${schemas.ops[op].value.$ref}` }, value);
    assert.ok(fits, `${op}: ${ajv.errorsText()}`);
  }
});

test("stats count what was asked", async () => {
  const asked = async () => {
    const answers = await all(fleet, "stats");
    return answers.find((each) => each.metadata.node === node).endpoints[0].num_requests;
  };
  const before = await asked();
  await fleet.call(node, "ping");
  assert.ok((await asked()) > before);
});

test("presence is read by direct get, whole or of one node", async () => {
  const nodes = await presences(streams);
  assert.ok(site.nodes.every((name) => nodes.get(name)?.state === "up"));
  const { value } = await streams.last("KV_WHARFSIDE_NODES", `$KV.WHARFSIDE_NODES.${node}`);
  const { node_id, boot_id } = await fleet.call(node, "info");
  assert.deepEqual([value.node_id, value.boot_id], [node_id, boot_id]);
});

test("a viewer discovers, too", async () => {
  const eyes = await open("eyes");
  assert.equal((await all(eyes, "ping")).length, site.nodes.length);
  assert.equal((await eyes.call(node, "ping")).node, node);
});

test("a node that is not there answers nobody", async () => {
  await assert.rejects(fleet.call("nowhere", "ping"), NodeAway);
});
