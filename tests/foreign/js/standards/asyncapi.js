import assert from "node:assert/strict";
import { test } from "node:test";
import { Parser } from "@asyncapi/parser";
import { document, schemas } from "./kit.js";

const WARNING = 1;

test("the official parser finds no fault in the description, neither error nor warning", async () => {
  const { document: parsed, diagnostics } = await new Parser().parse(document("docs/protocol/asyncapi.yaml"));
  const faults = diagnostics.filter((each) => each.severity <= WARNING);
  assert.deepEqual(faults.map((each) => `${each.path.join(".")}: ${each.message}`), []);
  assert.equal(parsed.version(), "3.0.0");
  const channels = new Set(parsed.channels().all().map((each) => each.id()));
  for (const op of Object.keys(schemas.ops)) assert.ok(channels.has(`rpc-${op}`), op);
});
