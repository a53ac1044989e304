// The documents beside the code, as anybody has them.

import { readdirSync, readFileSync } from "node:fs";

const root = new URL("../../../../", import.meta.url);

export const document = (path) => readFileSync(new URL(path, root), "utf8");

/** All vectors of one file. */
export const vectors = (name) => JSON.parse(document(`protocol/vectors/${name}.json`));

/** Those that are well formed, of every file. */
export const good = readdirSync(new URL("protocol/vectors/", root))
  .filter((name) => name.endsWith(".json") && name !== "malformed.json")
  .flatMap((name) => vectors(name.slice(0, -".json".length)));

export const schemas = JSON.parse(document("docs/protocol/schemas.json"));
export const fromHex = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
