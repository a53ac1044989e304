import assert from "node:assert/strict";
import { test } from "node:test";
import Ajv2020 from "ajv/dist/2020.js";
import { decode, encode } from "../wharfside/codec.js";
import { JsonForm, toJson } from "../wharfside/jsonform.js";
import { digest, isSigned, sign, signed } from "../wharfside/signing.js";
import { document, fromHex, good, schemas, vectors } from "./kit.js";

const form = new JsonForm(schemas);
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(schemas, "wharfside");
const fits = (record, json) => ajv.validate({ $ref: `wharfside#/$defs/${record}` }, json);

const BEYOND_A_DECODER = ["a key twice", "text that is not UTF-8", "nested too deep"];

test("there are vectors", () => assert.ok(good.length > 150, `${good.length}`));

test("bytes -> JSON form", () => {
  for (const { name, msgpack, json } of good) assert.deepEqual(toJson(decode(fromHex(msgpack))), json, name);
});

test("JSON form -> bytes -> the same", () => {
  for (const { name, record, json } of good) {
    const bytes = encode(form.payload(record, json));
    assert.deepEqual(toJson(decode(bytes)), json, name);
  }
});

test("what is bytes there is bytes here", () => {
  for (const { name, record, json, msgpack } of vectors("frames")) {
    assert.deepEqual(decode(encode(form.payload(record, json))), decode(fromHex(msgpack)), name);
  }
});

test("every JSON form fits the schema of its record", () => {
  for (const { name, record, json } of good) assert.ok(fits(record, json), `${name}: ${ajv.errorsText()}`);
});

test("what is malformed does not decode, or does not fit", () => {
  for (const { name, record, msgpack } of vectors("malformed")) {
    if (BEYOND_A_DECODER.includes(name)) continue;
    let value;
    try {
      value = decode(fromHex(msgpack));
    } catch {
      continue;
    }
    // Bytes are text in the JSON form: whatever is bytes by mistake must be told apart before.
    assert.ok(value.id instanceof Uint8Array || !fits(record, toJson(value)), name);
  }
});

test("the worked session reads as it is shown", () => {
  const session = JSON.parse(document("docs/protocol/session.json")).filter(({ msgpack }) => msgpack);
  assert.ok(session.length > 15, `${session.length}`);
  for (const { name, msgpack, json } of session) assert.deepEqual(toJson(decode(fromHex(msgpack))), json, name);
});

test("digests", () => {
  for (const { name, digest: told, json } of vectors("commands")) assert.equal(digest(json.op, json.args), told, name);
});

test("signatures: the same is signed, the same comes out, and what has been changed shows", () => {
  for (const { name, seed, json, headers, signed: said } of vectors("signatures")) {
    assert.equal(signed(json, headers["Wharfside-Signed-At"]), said, name);
    assert.deepEqual(sign(json, seed, headers["Wharfside-Signed-At"]), headers, name);
    assert.ok(isSigned(json, headers), name);
    assert.ok(!isSigned({ ...json, node: "elsewhere" }, headers), name);
  }
});
