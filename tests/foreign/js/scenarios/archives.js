import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Session } from "../wharfside/session.js";
import { container, fleet, newName, node, remove } from "./kit.js";

/** The bytes of the tar stream that comes down. */
async function tar(session) {
  const chunks = [];
  for await (const frame of session) {
    if (frame.frame === "data") chunks.push(...frame.chunks.filter((chunk) => chunk.stream === "archive"));
  }
  return Buffer.concat(chunks.map((chunk) => chunk.data));
}

test("a file goes in, and comes out the same", async () => {
  const folder = mkdtempSync(join(tmpdir(), "foreign-"));
  const name = newName();
  const text = "grüße\n".repeat(50_000);
  try {
    writeFileSync(join(folder, "greeting"), text);
    await fleet.call(node, "create", container(name, "true"));
    const putting = await Session.open(fleet, node, "put-archive", { container: name, path: "/tmp" });
    await putting.write(execFileSync("tar", ["-cC", folder, "greeting"], { maxBuffer: 1e7 }), "archive");
    await putting.eof();
    await tar(putting);
    const args = { container: name, path: "/tmp/greeting" };
    const got = await tar(await Session.open(fleet, node, "get-archive", args));
    assert.equal(execFileSync("tar", ["-xO"], { input: got, maxBuffer: 1e7 }).toString(), text);
  } finally {
    await remove(name);
    rmSync(folder, { recursive: true });
  }
});

test("what is not there opens no session", async () => {
  const name = newName();
  await fleet.call(node, "create", container(name, "true"));
  const args = { container: name, path: "/no/such/file" };
  await assert.rejects(Session.open(fleet, node, "get-archive", args), { code: "not-found" });
  await remove(name);
});
