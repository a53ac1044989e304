"""What a node will not make: wrong types, foreign paths, broken bundles, later features."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.integration.canary import nothing_changes
from tests.integration.raw import Raw
from tests.integration.world import Site, command
from tests.support.bundle import write_bundle

from wharfside_client import container
from wharfside_protocol.codec import to_plain
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import AlreadyExists, ErrorCode, WrongState
from wharfside_protocol.specs import Mount


def good(site: Site) -> dict[str, Any]:
    """The arguments of a `create` that would work."""
    plain: dict[str, Any] = to_plain(site.spec(site.name()))
    return plain


BAD_FIELDS: dict[str, dict[str, Any]] = {
    "no source": {"source": None},
    "two sources": {"source": {"bundle": "/a", "rootfs": "/b"}},
    "an empty source": {"source": {}},
    "a source that is text": {"source": "/a"},
    "a relative path": {"source": {"rootfs": "a/b"}},
    "a path with NUL": {"source": {"rootfs": "/a\x00b"}},
    "a path without end": {"source": {"rootfs": "/" + "a" * 5000}},
    "args that are text": {"process": {"args": "/bin/true"}},
    "no args": {"process": {"args": []}},
    "an argument that is a number": {"process": {"args": ["/bin/sleep", 5]}},
    "an argument with NUL": {"process": {"args": ["/bin/true", "a\x00b"]}},
    "a variable without a value": {"process": {"args": ["/bin/true"], "env": ["A"]}},
    "a relative cwd": {"process": {"args": ["/bin/true"], "cwd": "tmp"}},
    "a user below nought": {"process": {"args": ["/bin/true"], "user": {"uid": -1}}},
    "a user beyond 32 bits": {"process": {"args": ["/bin/true"], "user": {"uid": 2**32}}},
    "labels that are numbers": {"labels": {"a": 1}},
    "65 labels": {"labels": {str(n): "" for n in range(65)}},
    "too little memory": {"limits": {"memory_bytes": 1}},
    "memory that is text": {"limits": {"memory_bytes": "64m"}},
    "no processes at all": {"limits": {"pids": 0}},
    "a cpuset that is none": {"limits": {"cpuset": "0;1"}},
    "a network that is none": {"network": {"mode": "bridge"}},
    "a network path without its mode": {"network": {"path": "/proc/1/ns/net"}},
    "a network path that is no namespace": {"network": {"mode": "path", "path": "/dev/null"}},
    "a hostname with a slash": {"hostname": "a/b"},
    "a runtime that nobody knows": {"runtime": "runsc"},
    "a stop signal that is none": {"stop_signal": "BOOM"},
    "a grace below nought": {"grace_s": -1},
    "auto_remove that is text": {"auto_remove": "yes"},
    "a policy that nobody knows": {"restart": {"policy": "sometimes"}},
    "retries without a failure": {"restart": {"policy": "always", "max_retries": 3}},
    "retries below nought": {"restart": {"policy": "on-failure", "max_retries": -1}},
    "no retries at all": {"restart": {"policy": "on-failure", "max_retries": 0}},
    "to be removed and started again": {"restart": {"policy": "always"}, "auto_remove": True},
    "less than a second of silence": {"stop_on_disconnect_s": 0.5},
    "a silence below nought": {"stop_on_disconnect_s": -1},
    "a mount onto the root": {"mounts": [{"source": "/tmp", "target": "/"}]},
    "a mount out of the root": {"mounts": [{"source": "/tmp", "target": "/a/../../b"}]},
}


@pytest.mark.parametrize("op", ["create", "run"])
async def test_fields_of_the_wrong_kind_are_invalid(site: Site, raw: Raw, op: str) -> None:
    async with nothing_changes(site):
        for what, fields in BAD_FIELDS.items():
            answer = await raw.command("n1", op, good(site) | fields)
            assert answer.error is not None, what
            assert answer.error.code is ErrorCode.INVALID, (what, answer.error)


async def test_execs_updates_and_waits_of_the_wrong_kind_are_invalid(site: Site, raw: Raw) -> None:
    name = await site.run()
    process = {"args": ["/bin/true"]}
    bad: list[tuple[str, dict[str, Any]]] = [
        ("exec", {}),
        ("exec", {"process": {"args": ["a\x00"]}}),
        ("exec", {"process": process, "timeout_s": -1}),
        ("exec", {"process": process, "wait": "no"}),
        ("signal", {"signal": 15}),
        ("signal", {"signal": "99"}),
        ("signal", {"signal": "TERM\n"}),
        ("stop", {"grace_s": "10"}),
        ("stop", {"signal": "NONE"}),
        ("wait", {"timeout_s": 61}),
        ("wait", {"timeout_s": -1}),
        ("update", {}),
        ("update", {"limits": {}}),
        ("update", {"limits": {"pids": 2**53}}),
        ("delete", {"force": 1}),
    ]
    async with nothing_changes(site):
        for op, fields in bad:
            answer = await raw.command("n1", op, {"container": name} | fields)
            assert answer.error is not None, (op, fields)
            assert answer.error.code is ErrorCode.INVALID, (op, fields, answer.error)
        for limit in (0, 1001, "10"):
            answer = await raw.command("n1", "list", {"limit": limit})
            assert answer.error is not None, limit
            assert answer.error.code is ErrorCode.INVALID, limit


async def test_commands_in_the_wrong_state_say_what_to_do(site: Site, raw: Raw) -> None:
    running, created = await site.run(), site.name()
    await site.node.create(site.spec(created))
    async with nothing_changes(site):
        for op in ("pause", "resume", "stop", "exec", "signal"):
            await _refused(site, raw, op, created)
        for op in ("start", "resume", "delete"):
            await _refused(site, raw, op, running)


async def _refused(site: Site, raw: Raw, op: str, name: str) -> None:
    args: dict[str, Any] = {"container": name}
    if op == "exec":
        args |= {"process": {"args": ["/bin/true"]}}
    answer = await raw.command("n1", op, args)
    assert answer.error is not None, (op, name)
    assert answer.error.code is ErrorCode.WRONG_STATE, (op, answer.error)
    state = (await site.node.inspect(name)).state
    assert answer.error.details["state"] == state


async def test_a_name_is_taken_until_it_is_deleted(site: Site) -> None:
    name = site.name()
    made = await site.make(name)
    async with nothing_changes(site):
        for op in ("create", "run"):
            with pytest.raises(AlreadyExists) as taken:
                await site.node.call(op, site.spec(name))
            assert taken.value.details == {"incarnation": made.incarnation, "state": "running"}
    await site.node.delete(name, force=True)
    await site.make(name)


async def test_of_two_creates_at_once_one_gets_the_name(site: Site) -> None:
    name = site.name()
    asked = (site.node.request("create", site.spec(name)) for _ in range(4))
    answers = await asyncio.gather(*asked)
    assert [answer.ok for answer in answers].count(True) == 1
    codes = {answer.error.code for answer in answers if answer.error is not None}
    assert codes == {ErrorCode.ALREADY_EXISTS}
    await site.node.delete(name)
    await site.told.event(name, "deleted")
    assert site.told.types(name) == ["created", "deleted"]


async def test_bundles_and_rootfs_lie_below_the_allowed_roots(site: Site) -> None:
    roots = site.world.roots
    outside = write_bundle(
        site.world.folder / site.name("outside"), site.world.rootfs, ["/bin/sh"], cgroup="/x"
    )
    link = roots / site.name("link")
    link.symlink_to(outside)
    inner = roots / site.name("inner")
    inner.mkdir()
    (inner / "bundle").symlink_to(outside)
    async with nothing_changes(site):
        for path, code in (
            (outside, ErrorCode.DENIED),
            (Path("/"), ErrorCode.DENIED),
            (Path("/etc"), ErrorCode.DENIED),
            (link, ErrorCode.DENIED),
            (inner / "bundle", ErrorCode.DENIED),
            (roots / ".." / outside.name, ErrorCode.INVALID),
            (roots / "no-such", ErrorCode.NOT_FOUND),
        ):
            for answer in (
                await _create(site, bundle=str(path)),
                await _create(site, rootfs=str(path)),
            ):
                assert answer.error is not None, path
                assert answer.error.code is code, (path, answer.error)
        mount = Mount(source="/etc", target="/mnt")
        answer = await site.node.request("create", site.spec(site.name(), mounts=[mount]))
        assert answer.error is not None
        assert (answer.error.code, answer.error.details["rule"]) == (
            ErrorCode.DENIED,
            "mount-roots",
        )


async def test_a_bundle_that_is_broken_says_where(site: Site) -> None:
    async with nothing_changes(site):
        for what, (config, code) in _broken_configs(site).items():
            bundle = site.world.roots / site.name("broken")
            bundle.mkdir()
            if config is not None:
                (bundle / "config.json").write_bytes(config)
            answer = await _create(site, bundle=str(bundle))
            assert answer.error is not None, what
            assert answer.error.code is code, (what, answer.error)


async def test_a_config_that_is_no_plain_file_hangs_nobody(site: Site) -> None:
    fifo, link, folder = (site.world.roots / site.name("odd") for _ in range(3))
    for bundle in (fifo, link, folder):
        bundle.mkdir()
    os.mkfifo(fifo / "config.json")
    (link / "config.json").symlink_to("/etc/hostname")
    (folder / "config.json").mkdir()
    async with nothing_changes(site):
        for bundle in (fifo, link, folder):
            answer = await _create(site, bundle=str(bundle))
            assert answer.error is not None, bundle
            assert answer.error.code in (ErrorCode.INVALID, ErrorCode.DENIED), answer.error


async def test_a_good_bundle_runs_with_its_own_config(site: Site) -> None:
    bundle = write_bundle(
        site.world.roots / site.name("bundle"),
        site.world.rootfs,
        ["/bin/sh", "-c", "echo from-the-bundle; exit 3"],
        cgroup="/not/the/callers",
    )
    name = site.name()
    await site.node.run(container(name, bundle=str(bundle)))
    told = await site.node.wait(name, output=True)
    assert told.exit is not None
    assert told.output is not None
    assert (told.exit.exit_code, told.output.stdout) == (3, b"from-the-bundle\n")
    assert sorted(each.name for each in bundle.iterdir()) == ["config.json"]
    with pytest.raises(WrongState):
        await site.node.exec(name, command("exit 0"))


def _broken_configs(site: Site) -> dict[str, tuple[bytes | None, ErrorCode]]:
    """config.json that is missing, broken, or for another platform, and what is answered."""
    folder = site.world.folder / site.name("whole")
    whole = json.loads(
        (
            write_bundle(folder, site.world.rootfs, ["/bin/sh"], cgroup="/x") / "config.json"
        ).read_text()
    )
    bare = {key: value for key, value in whole.items() if key != "linux"}

    def changed(**fields: Any) -> bytes:
        return json.dumps(whole | fields).encode()

    invalid = ErrorCode.INVALID
    return {
        "missing": (None, ErrorCode.NOT_FOUND),
        "empty": (b"", invalid),
        "no JSON": (b"{", invalid),
        "a list": (b"[]", invalid),
        "not UTF-8": (b'{"ociVersion": "\xff"}', invalid),
        "deep": (b'{"a":' * 5000 + b"1" + b"}" * 5000, invalid),
        "large": (json.dumps(whole | {"annotations": {"a": "x" * (2 << 20)}}).encode(), invalid),
        "a version from the future": (changed(ociVersion="2.0.0"), invalid),
        "args that are text": (changed(process={"args": "sh", "cwd": "/"}), invalid),
        "no root": (changed(root=None), invalid),
        "a root outside": (changed(root={"path": "/etc"}), ErrorCode.DENIED),
        "a root that is not there": (changed(root={"path": "rootfs"}), ErrorCode.NOT_FOUND),
        "windows": (json.dumps(bare | {"windows": {}}).encode(), ErrorCode.UNSUPPORTED),
        "no platform": (json.dumps(bare).encode(), ErrorCode.UNSUPPORTED),
        "a terminal": (
            changed(process=whole["process"] | {"terminal": True}),
            ErrorCode.UNSUPPORTED,
        ),
        "no process": (changed(process=None), invalid),
    }


async def _create(site: Site, *, bundle: str | None = None, rootfs: str | None = None) -> Result:
    args = ("/bin/true",) if bundle is None else ()
    spec = container(site.name(), args, bundle=bundle, rootfs=rootfs)
    return await site.node.request("create", spec)
