"""A caller's config.json: whatever it is, it is taken or refused by type, never by accident."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_agent.core.oci_schema import MAX_CONFIG_BYTES, parse_config
from wharfside_protocol.errors import Invalid, Unsupported

GOOD = {
    "ociVersion": "1.0.2",
    "process": {"cwd": "/", "args": ["true"], "user": {"uid": 0, "gid": 0}},
    "root": {"path": "rootfs"},
    "linux": {},
}


def changed(**fields):
    return json.dumps({**GOOD, **fields}).encode()


def without(name):
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


def test_all_fields_come_back_also_those_we_do_not_know():
    extra = {"hooks": {"prestart": [{"path": "/bin/true"}]}, "x-own": [1, None, 2.5]}
    assert parse_config(changed(**extra)) == {**GOOD, **extra}


@pytest.mark.parametrize("version", ["1.0.0", "1.0.2-dev", "1.2.1", "1.1.0-rc.1+g1"])
def test_versions_of_the_first_line(version):
    assert parse_config(changed(ociVersion=version))["ociVersion"] == version


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (b"", "$"),
        (b"{", "$"),
        (b"[]", "$"),
        (b"null", "$"),
        (b'{"linux":{}', "$"),
        (b'{"linux":"\xff"}', "$"),
        (b"\xef\xbb\xbf{}", "$"),
        (changed(ociVersion="2.0.0"), "$.ociVersion"),
        (changed(ociVersion="1.0"), "$.ociVersion"),
        (changed(ociVersion=1), "$.ociVersion"),
        (without("ociVersion"), "$"),
        (without("root"), "$"),
        (changed(root="rootfs"), "$.root"),
        (changed(root={}), "$.root"),
        (changed(root={"path": ""}), "$.root.path"),
        (changed(root={"path": "a\0b"}), "$.root.path"),
        (changed(root={"path": "rootfs", "readonly": "yes"}), "$.root.readonly"),
        (changed(process={"cwd": "/", "args": []}), "$.process.args"),
        (changed(process={"cwd": "/", "args": [1]}), "$.process.args[0]"),
        (changed(process={"cwd": "/", "args": ["a\0"]}), "$.process.args[0]"),
        (changed(process={"cwd": "here", "args": ["true"]}), "$.process.cwd"),
        (changed(process={"cwd": "/", "args": ["true"], "env": "A=1"}), "$.process.env"),
        (changed(process={"cwd": "/", "args": ["true"], "user": "root"}), "$.process.user"),
        (changed(mounts={}), "$.mounts"),
        (changed(mounts=[{"type": "proc"}]), "$.mounts[0]"),
        (changed(hostname=7), "$.hostname"),
        (changed(annotations={"a": 1}), "$.annotations[...]"),
        (changed(linux=None), "$.linux"),
        (changed(linux={"namespaces": [{"path": "/x"}]}), "$.linux.namespaces[0]"),
        (changed(linux={"resources": []}), "$.linux.resources"),
        (changed(linux={"resources": {"memory": 1}}), "$.linux.resources.memory"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(data, at):
    with pytest.raises(Invalid) as refused:
        parse_config(data)
    assert refused.value.details["at"] == at


@pytest.mark.parametrize("depth", [40, 400, 100_000])
def test_nesting_is_bounded(depth):
    data = changed()[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(Invalid, match="too deeply"):
        parse_config(data)


def test_size_is_bounded():
    with pytest.raises(Invalid, match="1 MiB"):
        parse_config(changed(x="a" * MAX_CONFIG_BYTES))


@pytest.mark.parametrize("platform", ["windows", "solaris", "vm", "zos", "freebsd"])
def test_other_platforms_are_unsupported_and_named(platform):
    config = {key: value for key, value in GOOD.items() if key != "linux"} | {platform: {}}
    with pytest.raises(Unsupported, match=platform):
        parse_config(json.dumps(config).encode())


def test_no_platform_at_all_is_unsupported():
    with pytest.raises(Unsupported, match="no linux section"):
        parse_config(without("linux"))


def test_terminals_are_unsupported():
    with pytest.raises(Unsupported) as refused:
        parse_config(changed(process={"cwd": "/", "args": ["sh"], "terminal": True}))
    assert refused.value.details["field"] == "process.terminal"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def _outcome(data):
    try:
        return parse_config(data)
    except (Invalid, Unsupported):
        return None


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_any_value_in_any_field_is_taken_or_refused(field, value):
    taken = _outcome(changed(**{field: value}))
    assert taken is None or set(GOOD) <= set(taken) | {"process"}


@given(st.data())
def test_mutated_bytes_are_taken_or_refused(data):
    raw = bytearray(changed())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    taken = _outcome(bytes(raw))
    assert taken is None or taken["ociVersion"].startswith("1.")
