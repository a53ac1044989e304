import assert from "node:assert/strict";
import { test } from "node:test";
import { Parser } from "@asyncapi/parser";
import { document, schemas } from "./kit.js";

const WARNING = 1;

async function faultsOf(text) {
  const { document: parsed, diagnostics } = await new Parser().parse(text);
  const faults = diagnostics.filter((each) => each.severity <= WARNING);
  return { parsed, faults: faults.map((each) => `${each.path.join(".")}: ${each.message}`) };
}

test("the official parser finds no fault in the description, neither error nor warning", async () => {
  const { parsed, faults } = await faultsOf(document("docs/protocol/asyncapi.yaml"));
  assert.deepEqual(faults, []);
  assert.equal(parsed.version(), "3.0.0");
  const channels = new Set(parsed.channels().all().map((each) => each.id()));
  for (const op of Object.keys(schemas.ops)) assert.ok(channels.has(`rpc-${op}`), op);
});

test("it does find faults", async () => {
  const { faults } = await faultsOf("asyncapi: 3.0.0\ninfo:\n  title: without a version\n");
  assert.ok(faults.length > 0);
});
