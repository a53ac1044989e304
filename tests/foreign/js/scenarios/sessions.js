import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Session, SessionReset } from "../wharfside/session.js";
import { container, fleet, newName, node, open, remove } from "./kit.js";

const MIB = 1024 * 1024;
const bytes = (text) => new TextEncoder().encode(text);
const hash = (data) => createHash("sha256").update(data).digest("hex");

/** What came down up to the end: the bytes of all streams, and how the process ended. */
async function rest(session) {
  const chunks = [];
  let exit;
  for await (const frame of session) {
    if (frame.frame === "data") chunks.push(...frame.chunks.map((chunk) => chunk.data));
    if (frame.frame === "exit") exit = frame.exit;
    assert.notEqual(frame.frame, "lost");
  }
  return { data: Buffer.concat(chunks), exit };
}

/** The next frame of data. */
async function data(session) {
  for await (const frame of session) if (frame.frame === "data") return frame;
  throw new Error("no more data");
}

async function withCat(run, script = "cat", io = { stdin: true }) {
  const name = newName();
  await fleet.call(node, "run", container(name, script, { io }));
  try {
    await run(name);
  } finally {
    await remove(name);
  }
}

const attach = (name, more) => Session.open(fleet, node, "attach", { container: name, stdin: true }, more);

test("attach: what goes in comes out, up to the end of the input", () =>
  withCat(async (name) => {
    const session = await attach(name);
    await session.write(bytes("grüße\n"));
    await session.eof();
    const { data, exit } = await rest(session);
    assert.deepEqual([data.toString(), exit.exit_code], ["grüße\n", 0]);
  }));

test("more than every window, both ways at once", () =>
  withCat(async (name) => {
    const sent = Buffer.alloc(3 * MIB, "0123456789abcdef\n");
    const session = await attach(name, { window: 64 * 1024 });
    const reading = rest(session);
    await session.write(sent);
    await session.eof();
    assert.equal(hash((await reading).data), hash(sent));
  }));

test("frames that the bus loses are asked for again", () =>
  withCat(async (name) => {
    const places = new Set();
    const drop = ({ frame, at }) => frame === "data" && !places.has(at) && places.add(at).size % 3 === 2;
    const sent = Buffer.alloc(MIB / 2, "once and in order\n");
    const session = await attach(name, { drop });
    const reading = rest(session);
    await session.write(sent);
    await session.eof();
    assert.equal(hash((await reading).data), hash(sent));
    assert.ok(places.size > 2);
  }));

// A terminal gets its size as soon as it is there: the process may have looked a moment before.
const SIZES = `trap 'stty size; exit 9' USR1
until stty size 2>&1 | grep "24 81"; do sleep 0.05; done
echo ready; while :; do sleep 0.1; done`;

test("a connection that is lost in between loses nothing of a session", () =>
  withCat(async (name) => {
    const own = await open();
    const sent = Buffer.alloc(MIB, "over a new connection\n");
    const session = await Session.open(own, node, "attach", { container: name, stdin: true });
    const reading = rest(session);
    for (let at = 0; at < sent.length; at += MIB / 4) {
      await session.write(sent.subarray(at, at + MIB / 4));
      await own.connection.reconnect();
    }
    await session.eof();
    assert.equal(hash((await reading).data), hash(sent));
  }));

test("exec with a terminal: its size, and a signal", () =>
  withCat(async (name) => {
    const args = ["/bin/sh", "-c", SIZES];
    const more = { process: { args }, io: { tty: true, stdin: true }, size: { rows: 24, columns: 81 }, wait: false };
    const session = await Session.open(fleet, node, "exec", { container: name, ...more });
    let seen = "";
    let exit;
    for await (const frame of session) {
      if (frame.frame === "data") seen += frame.chunks.map((chunk) => Buffer.from(chunk.data).toString()).join("");
      if (frame.frame === "data" && seen.includes("ready") && !session.told) {
        session.told = true;
        await session.resize(33, 99);
        await session.signal("USR1");
      }
      if (frame.frame === "exit") exit = frame.exit;
    }
    assert.match(seen, /24 81\r\n[^]*33 99\r\n/);
    assert.equal(exit.exit_code, 9);
  }));

test("logs: what was written before, then the end", () =>
  withCat(async (name) => {
    await fleet.wait(node, name);
    const { data } = await rest(await Session.open(fleet, node, "logs", { container: name }));
    assert.equal(data.toString(), "one\ntwo\n");
  }, "echo one; echo two"));

test("another session goes on behind the position that the last one had", () =>
  withCat(async (name) => {
    const one = await attach(name);
    await one.write(bytes("first\n"));
    const { position } = await data(one);
    one.close();
    const args = { container: name, stdin: true, take: true, position };
    const two = await Session.open(fleet, node, "attach", args);
    await two.write(bytes("second\n"));
    const { chunks } = await data(two);
    assert.equal(Buffer.from(chunks[0].data).toString(), "second\n");
    two.close();
  }, "cat", { stdin: true, stdin_once: false }));

test("a second one takes the input; the first is told why", () =>
  withCat(async (name) => {
    const one = await attach(name);
    await assert.rejects(attach(name), { code: "wrong-state" });
    const two = await Session.open(fleet, node, "attach", { container: name, stdin: true, take: true });
    await assert.rejects(rest(one), SessionReset);
    await two.write(bytes("mine\n"));
    await two.eof();
    assert.equal((await rest(two)).data.toString(), "mine\n");
  }));

test("close leaves the process as it is", () =>
  withCat(async (name) => {
    (await attach(name)).close();
    const { state } = await fleet.call(node, "inspect", { container: name });
    assert.equal(state, "running");
  }));
