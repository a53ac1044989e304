// The JSON form of a payload and back: bytes are base64 there, where the schema says so.

import { isMap } from "./codec.js";

/** Without what is nil, which means the same. */
export function toJson(value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(toJson);
  if (!isMap(value)) return value;
  const there = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(there.map(([key, item]) => [key, toJson(item)]));
}

export class JsonForm {
  /** `schemas`: docs/protocol/schemas.json. */
  constructor(schemas) {
    this.schemas = schemas;
  }

  /** What a payload of this record is, from its JSON form. */
  payload(record, json) {
    const value = this.#back({ $ref: `#/$defs/${record}` }, json);
    const { ops, events } = this.schemas;
    if (record === "Command" && ops[json.op]) value.args = this.#back(ops[json.op].args, json.args);
    if (record === "Result" && json.value) value.value = this.#back(ops[json.op]?.value, json.value);
    if (record === "Event") value.data = this.#back(events[json.type], json.data);
    return value;
  }

  #back(schema, json) {
    if (schema?.$ref) return this.#back(this.schemas.$defs[schema.$ref.split("/").pop()], json);
    if (schema?.anyOf) return this.#back(schema.anyOf.find((each) => each.type !== "null"), json);
    if (schema?.contentEncoding === "base64") return new Uint8Array(Buffer.from(json, "base64"));
    if (Array.isArray(json)) return json.map((item) => this.#back(schema?.items, item));
    if (!isMap(json)) return json;
    const shape = (key) => schema?.properties?.[key] ?? schema?.additionalProperties;
    return Object.fromEntries(Object.entries(json).map(([key, item]) => [key, this.#back(shape(key), item)]));
  }
}
