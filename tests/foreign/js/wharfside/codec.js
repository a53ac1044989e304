// Payloads: msgpack maps with string keys. What a decoder of this language cannot hold is refused.

import { Decoder, encode as pack, ExtensionCodec } from "@msgpack/msgpack";

const noExtensions = new ExtensionCodec();
noExtensions.tryToDecode = undefined;
noExtensions.decode = (_data, type) => {
  throw new Error(`extension ${type}`);
};

const decoder = new Decoder({
  extensionCodec: noExtensions,
  mapKeyConverter: (key) => {
    if (typeof key !== "string") throw new Error("a key that is no text");
    return key;
  },
});

/** `undefined` is left out; whole numbers travel as integers. */
export const encode = (value) => pack(value, { ignoreUndefined: true });

/** The map in `bytes`. Throws where they are no such map, or hold a number that is not exact here. */
export function decode(bytes) {
  const value = decoder.decode(bytes);
  if (!isMap(value)) throw new Error("not a msgpack map");
  check(value);
  return value;
}

export const isMap = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

function check(value) {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new Error("no number");
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new Error("beyond 2^53 - 1");
  } else if (Array.isArray(value)) {
    value.forEach(check);
  } else if (isMap(value)) {
    Object.values(value).forEach(check);
  }
}
