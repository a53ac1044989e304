"""What the CLI prints with `--json` is what its schemas say: every command, really run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from jsonschema import Draft202012Validator
from tests.integration.cli_kit import Ran, cli, typed
from tests.integration.counting import COUNTS
from tests.integration.fifos import shell
from tests.integration.world import Site
from tests.support.requirements import requires

from wharfside_client.cli.documents import (
    DOCUMENTS,
    ERRORS,
    LINES,
    OTHERS,
    catalogue,
    document_schema,
)
from wharfside_client.cli.main import make_app

WITH_AGENT = requires("root", "conmon", "crun", "busybox-static", "nats-server")


def leaves(command: Any, name: str = "") -> Iterator[str]:
    """All commands by their full names; a group that does something itself is one, too."""
    below = getattr(command, "commands", None)
    if below is None or (name and command.invoke_without_command):
        yield name
    for word, each in (below or {}).items():
        yield from leaves(each, f"{name} {word}".strip())


def test_every_command_has_one() -> None:
    known = {*DOCUMENTS, *OTHERS, *(line.partition(" --")[0] for line in LINES)}
    assert known == set(leaves(typer.main.get_command(make_app())))


def test_each_is_a_schema() -> None:
    whole = catalogue()
    for each in (*whole["documents"].values(), *whole["lines"].values(), whole["errors"]):
        Draft202012Validator.check_schema(each)
    for each in whole["$defs"].values():
        Draft202012Validator.check_schema(each)


def test_an_object_without_its_fields_is_refused() -> None:
    assert not Draft202012Validator(document_schema("ps")).is_valid({"containers": []})
    assert not Draft202012Validator(document_schema("events")).is_valid({"seq": 1})
    assert not Draft202012Validator(document_schema("stop")).is_valid([{"node": "n1"}])


def test_what_is_added_to_a_record_is_none_of_its_own_fields() -> None:
    """In one JSON object only one of the two would be left."""
    whole = catalogue()
    for record, more in added([whole["documents"], whole["lines"]]):
        own = whole["$defs"][record["$ref"].rpartition("/")[2]]["properties"]
        assert not own.keys() & more["properties"].keys(), record


def added(schema: Any) -> Iterator[Any]:
    for each in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(each, dict) and "allOf" in each:
            yield each["allOf"]
        if isinstance(each, dict | list):
            yield from added(each)


def check(command: str, ran: Ran) -> None:
    validator = Draft202012Validator(document_schema(command))
    texts = ran.out.splitlines() if command in LINES else [ran.out]
    assert texts, f"{command} printed nothing: {ran.err}"
    for text in texts:
        validator.validate(json.loads(text))


class Shell:
    """Types commands, and compares what each prints with its schema."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __call__(self, command: str, *arguments: str, code: int = 0) -> Any:
        how = cli if command == "run" else typed  # that one listens to signals
        ran = await how(self._url, *command.split(), "--json", *arguments)
        assert ran.code == code, f"{command}: {ran.out}{ran.err}"
        check(command, ran)
        return json.loads(ran.out) if command in DOCUMENTS else None


@WITH_AGENT
async def test_of_containers_and_nodes(site: Site, tmp_path: Path) -> None:
    run = Shell(site.world.server.url)
    where, flags = f"n1/{site.name()}", ("--rootfs", str(site.world.rootfs))
    for command in ("bootstrap", "nodes", "dead-letters"):
        await run(command)
    await run("nodes add", "n1")
    await run("create", *flags, where, "sleep", "1000")
    await run("start", where)
    await run("start", where, code=1)  # an error stands in the same list
    await run("exec", where, "printf", r"\377x")
    (tmp_path / "file").write_text("x")
    await run("cp", "-q", str(tmp_path / "file"), f"{where}:/tmp")
    for command in ("pause", "resume", "stats", "inspect"):
        await run(command, where)
    await run("update", "--memory", "64m", where)
    await run("restart", "-t", "0", where)
    for command in ("ps", "top", "stats"):
        await run(command)
        await run(command, "n1", "nobody", code=125)
    await run("kill", where)
    for command in ("wait", "stop", "rm"):
        await run(command, where)
    ended = f"n1/{site.name()}"
    await run("run", *flags, ended, *shell("echo out; exit 3"), code=3)
    await run("logs", ended)
    await run("events", ended)
    sent = await run("rm", "--durable", "--no-wait", ended)
    id_ = sent[0]["value"]["command"]
    await run("result", "--wait", "n1", id_)
    await run("commands", "n1")
    await run("cancel", "n1", id_, code=1)
    for command in ("info", "resync", "migrations", "checkpoints", "checkpoint ls"):
        await run(command, "n1")
    await run("audit")
    await run("policy-check", "n1", "start", f"container={ended}", code=1)
    for command in ("drain", "undrain"):
        await run(command, "n1")
    await run("checkpoint prune", "-f", "n1")


@requires("criu")
async def test_of_checkpoints(site: Site, tmp_path: Path) -> None:
    run = Shell(site.world.server.url)
    name, saved = site.name(), str(tmp_path / "one.tar")
    where, rootfs = f"n1/{name}", ("--rootfs", str(site.world.rootfs))
    await run("create", "--checkpointable", *rootfs, where, *COUNTS)
    await run("start", where)
    await run("checkpoint create", where, "one", "--exit")
    await run("restore", where, "one")
    await run("checkpoint ls", "n1")
    await run("checkpoint save", where, "one", "-o", saved)
    await run("rm", "-f", where)
    incarnation = ("--incarnation", (await site.told.event(name, "created")).incarnation or "")
    await run("checkpoint rm", where, "one", *incarnation)
    await run("checkpoint load", "n1", saved)
    await run("checkpoint prune", "-f", "n1")


async def test_a_script_can_ask_for_them() -> None:
    ran = await typed("nats://127.0.0.1:1", "schema", "--cli", "nodes add")
    assert ran.json == document_schema("nodes add")
    unknown = await typed("nats://127.0.0.1:1", "schema", "--cli", "nodes eat")
    assert (unknown.code, "'nodes eat'" in unknown.err) == (2, True)


async def test_an_error_of_the_whole(tmp_path: Path) -> None:
    ran = await typed("nats://127.0.0.1:1", "nodes", "--json")
    assert (ran.code, ran.out) == (125, "")
    Draft202012Validator(ERRORS).validate(json.loads(ran.err))


async def test_of_the_folder_of_keys(tmp_path: Path) -> None:
    run = Shell("nats://127.0.0.1:1")
    folder = ("-d", str(tmp_path / "auth"))
    await run("auth init", folder[1])
    await run("auth add-node", *folder, "n1", "n2")
    await run("auth add-user", *folder, "--role", "viewer", "eyes")
    await run("auth show", *folder)
    await run("auth show", *folder, "eyes")
    await run("auth rotate", *folder, "eyes")
    await run("auth revoke", *folder, "eyes")
    await run("auth sign-key", "--actor", "ops", str(tmp_path / "ops.sign.nk"))
