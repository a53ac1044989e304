import assert from "node:assert/strict";
import { test } from "node:test";
import { container, fleet, newName, node, open, remove } from "./kit.js";

const refused = (code, op, args, more) => assert.rejects(fleet.call(node, op, args, more), { name: "Error", code });
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();

test("what is not there", () => refused("not-found", "inspect", { container: "nobody" }));
test("an unknown op", () => refused("unsupported", "levitate", {}));
test("another version", () => refused("unsupported", "ping", {}, { v: 2 }));
test("a command for another node", async () => {
  await refused("invalid", "ping", {}, { node: "elsewhere" });
});
test("a field of the wrong type, by its name", async () => {
  await assert.rejects(fleet.call(node, "list", { limit: "many" }), /limit/);
});
test("a field that nobody knows is no error", () => fleet.call(node, "ping", { zone: 1 }));
test("a deadline that is over", async () => {
  const name = newName();
  const args = container(name, "true");
  await refused("deadline-exceeded", "run", args, { deadline: ago(60) });
  await refused("not-found", "inspect", { container: name });
});
test("a state that does not allow it, and which it is", async () => {
  const name = newName();
  await fleet.call(node, "create", container(name, "true"));
  await assert.rejects(fleet.call(node, "pause", { container: name }), (error) => {
    assert.deepEqual([error.code, error.details.state], ["wrong-state", "created"]);
    return true;
  });
  await refused("already-exists", "create", container(name, "true"));
  await remove(name);
});
test("a fence", async () => {
  const name = newName();
  const { incarnation, revision } = await fleet.call(node, "run", container(name, "sleep 1000"));
  const expect = { incarnation, revision: revision + 1 };
  await refused("stale", "delete", { container: name, force: true }, { expect });
  await fleet.call(node, "delete", { container: name, force: true }, { expect: { incarnation, revision } });
});
test("the runtime's own words", async () => {
  const name = newName();
  const spec = { ...container(name, ""), process: { args: ["/no/such/program"] } };
  await assert.rejects(fleet.call(node, "run", spec), (error) => {
    assert.equal(error.code, "runtime-failed");
    assert.match(error.message, /no\/such\/program/);
    return true;
  });
  await fleet.request(node, "delete", { container: name, force: true });
});
test("a viewer may not: the server lets nothing through", async () => {
  const eyes = await open("eyes");
  await assert.rejects(eyes.call(node, "run", container(newName(), "true")), /[Pp]ermission/);
});
