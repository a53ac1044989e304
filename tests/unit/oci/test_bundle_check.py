"""What a node refuses before anything is changed: each bad path, bundle and wish, by its type."""

import json
import os
from pathlib import Path

import pytest

from wharfside_agent.runtime.bundle_check import BundleCheck
from wharfside_agent.runtime.roots import Roots
from wharfside_protocol.errors import Denied, Invalid, NotFound, Unsupported
from wharfside_protocol.specs import (
    ContainerSpec,
    Io,
    Mount,
    Network,
    ProcessSpec,
    Restart,
    Source,
)

CONFIG = {
    "ociVersion": "1.0.2",
    "process": {"cwd": "/", "args": ["true"]},
    "root": {"path": "rootfs"},
    "linux": {},
}
TRUE = ProcessSpec(args=["true"])


@pytest.fixture
def roots(tmp_path):
    """`allowed` with a good bundle and a rootfs; `shared` for mounts; `secret` outside."""
    for folder in ("allowed/bundle/rootfs", "allowed/image", "shared/data", "secret/rootfs"):
        (tmp_path / folder).mkdir(parents=True)
    for bundle in ("allowed/bundle", "secret"):
        (tmp_path / bundle / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "shared/file").write_text("data")
    return tmp_path


@pytest.fixture
def check(roots):
    rules = BundleCheck([roots / "allowed"], [roots / "shared"])

    def run(spec):
        with rules.checked(spec) as source:
            return source

    return run


def bundle(path, **fields):
    return ContainerSpec(source=Source(bundle=str(path)), **fields)


def image(roots, **fields):
    fields.setdefault("process", TRUE)
    return ContainerSpec(source=Source(rootfs=str(roots / "allowed/image")), **fields)


def write_config(roots, **fields):
    path = roots / "allowed/bundle/config.json"
    path.write_text(json.dumps({**CONFIG, **fields}))
    return bundle(path.parent)


def tree(folder):
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_node_without_roots_names_the_setting() -> None:
    with (
        pytest.raises(Denied, match=r"none \(runtime.mount_roots\)"),
        Roots([], "mount-roots").pinned("/root", "mounts.source"),
    ):
        pass


def test_a_good_bundle_passes_with_its_config(roots, check):
    source = check(bundle(roots / "allowed/bundle"))
    assert source.config == CONFIG
    assert source.rootfs.path == roots / "allowed/bundle/rootfs"


def test_a_good_rootfs_passes(roots, check):
    source = check(image(roots))
    assert (source.config, source.rootfs.path) == (None, roots / "allowed/image")


def test_a_root_may_itself_be_reached_by_a_link(roots):
    (roots / "link").symlink_to(roots / "allowed")
    for root in (roots / "link", roots / "allowed"):
        with BundleCheck([roots / "link"], []).checked(bundle(root / "bundle")) as source:
            assert source.rootfs.path == roots / "allowed/bundle/rootfs"


def test_outside_the_roots_is_denied_by_rule(roots, check):
    for path in (roots / "secret", roots, "/", "/etc", roots / "allowedx/bundle"):
        with pytest.raises(Denied) as refused:
            check(bundle(path))
        assert refused.value.details["rule"] == "bundle-roots"


@pytest.mark.parametrize("path", ["{0}/allowed/../secret", "{0}/allowed/bundle/.."])
def test_dots_are_invalid(roots, check, path):
    with pytest.raises(Invalid, match=r"\.\."):
        check(bundle(path.format(roots)))


@pytest.mark.parametrize("path", ["bundle", "/a\0b"])
def test_relative_paths_and_nuls_are_invalid(roots, path):
    """The wire's own pattern lets neither through; the node does not lean on it."""
    with pytest.raises(Invalid), Roots([roots], "rule").pinned(path, "source.bundle"):
        pass


def test_a_link_out_of_the_roots_is_denied(roots, check):
    (roots / "allowed/way").symlink_to(roots / "secret")
    with pytest.raises(Denied) as refused:
        check(bundle(roots / "allowed/way"))
    assert refused.value.details["rule"] == "no-symbolic-links"


def test_a_link_half_way_or_within_the_roots_is_denied(roots, check):
    (roots / "allowed/up").symlink_to(roots)
    (roots / "allowed/same").symlink_to(roots / "allowed/bundle")
    for path in ("allowed/up/secret", "allowed/same"):
        with pytest.raises(Denied) as refused:
            check(bundle(roots / path))
        assert refused.value.details["rule"] == "no-symbolic-links"


def test_what_is_not_there_or_no_folder(roots, check):
    with pytest.raises(NotFound):
        check(bundle(roots / "allowed/nothing"))
    for path in ("allowed/bundle/config.json", "allowed/bundle/config.json/x"):
        with pytest.raises(Invalid):
            check(bundle(roots / path))
    with pytest.raises(Invalid, match="name too long"):
        check(bundle(roots / "allowed" / ("a" * 300)))


def test_a_missing_root_is_not_found(tmp_path):
    with (
        pytest.raises(NotFound),
        BundleCheck([tmp_path / "none"], []).checked(bundle(tmp_path / "none/b")),
    ):
        pass


def test_a_bundle_without_config(roots, check):
    (roots / "allowed/bundle/config.json").unlink()
    with pytest.raises(NotFound, match=r"config\.json"):
        check(bundle(roots / "allowed/bundle"))


def test_a_config_that_is_no_plain_file(roots, check):
    config = roots / "allowed/bundle/config.json"
    config.unlink()
    config.symlink_to(roots / "secret/config.json")
    with pytest.raises(Denied) as refused:
        check(bundle(config.parent))
    assert refused.value.details["rule"] == "no-symbolic-links"
    config.unlink()
    os.mkfifo(config)
    with pytest.raises(Invalid, match="plain file"):
        check(bundle(config.parent))
    config.unlink()
    config.mkdir()
    with pytest.raises(Invalid, match="plain file"):
        check(bundle(config.parent))


def test_a_broken_config_names_the_place(roots, check):
    with pytest.raises(Invalid) as refused:
        check(write_config(roots, process={"cwd": "/", "args": "true"}))
    assert refused.value.details["at"] == "$.process.args"


def test_a_config_too_large_is_refused_before_it_is_read_whole(roots, check):
    with pytest.raises(Invalid, match="1 MiB"):
        check(write_config(roots, x="a" * (1 << 20)))


def test_a_config_for_another_platform(roots, check):
    (roots / "allowed/bundle/config.json").write_text('{"ociVersion": "1.0.2", "windows": {}}')
    with pytest.raises(Unsupported, match="windows"):
        check(bundle(roots / "allowed/bundle"))


@pytest.mark.parametrize("path", ["rootfs", "./rootfs", "../image", "{0}/allowed/image"])
def test_a_root_path_within_the_roots(roots, check, path):
    source = check(write_config(roots, root={"path": path.format(roots)}))
    assert source.rootfs.path.is_relative_to(roots / "allowed")


@pytest.mark.parametrize("path", ["../../secret/rootfs", "{0}/secret/rootfs", "/"])
def test_a_root_path_outside_the_roots(roots, check, path):
    with pytest.raises(Denied) as refused:
        check(write_config(roots, root={"path": path.format(roots)}))
    assert refused.value.details["field"] == "root.path"


def test_a_root_path_through_a_link(roots, check):
    (roots / "allowed/bundle/link").symlink_to("/")
    with pytest.raises(Denied) as refused:
        check(write_config(roots, root={"path": "link"}))
    assert refused.value.details["rule"] == "no-symbolic-links"


def test_no_process_anywhere(roots, check):
    config = {key: value for key, value in CONFIG.items() if key != "process"}
    (roots / "allowed/bundle/config.json").write_text(json.dumps(config))
    with pytest.raises(Invalid, match="process"):
        check(bundle(roots / "allowed/bundle"))
    with pytest.raises(Invalid, match="process"):
        check(image(roots, process=None))
    assert check(bundle(roots / "allowed/bundle", process=TRUE)).config == config


def test_values_that_ask_for_nothing_pass(roots, check):
    check(image(roots, restart=Restart(policy="no"), io=Io()))


def test_a_mount_gets_its_real_source(roots, check):
    (roots / "way").symlink_to(roots / "shared")
    rules = BundleCheck([roots / "allowed"], [roots / "way"])
    mounts = [Mount(source=str(roots / "way/file"), target="/etc//x")]
    with rules.checked(image(roots, mounts=mounts)) as source:
        (mount,) = source.spec.mounts
        assert (mount.source, mount.target) == (str(roots / "shared/file"), "/etc/x")


@pytest.mark.parametrize(
    ("source", "kind", "rule"),
    [
        ("/etc/passwd", Denied, "mount-roots"),
        ("{0}/allowed/image", Denied, "mount-roots"),
        ("{0}/shared/../secret", Invalid, None),
        ("{0}/shared/link", Denied, "no-symbolic-links"),
        ("{0}/shared/none", NotFound, None),
    ],
)
def test_bad_mount_sources(roots, check, source, kind, rule):
    (roots / "shared/link").symlink_to("/etc")
    with pytest.raises(kind) as refused:
        check(image(roots, mounts=[Mount(source=source.format(roots), target="/x")]))
    assert refused.value.details.get("rule") == rule


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/", Invalid),
        ("//", Invalid),
        ("/./", Invalid),
        ("/a/../../b", Invalid),
        ("/proc", Denied),
        ("/proc/sys/kernel", Denied),
        ("//proc", Denied),
        ("/sys/fs/cgroup", Denied),
    ],
)
def test_bad_mount_targets(roots, check, target, kind):
    mount = Mount(source=str(roots / "shared/data"), target=target)
    with pytest.raises(kind) as refused:
        check(image(roots, mounts=[mount]))
    assert refused.value.details["field"] == "mounts.target"


def test_network_paths(roots, check):
    check(image(roots, network=Network(mode="path", path="/proc/self/ns/net")))
    with pytest.raises(NotFound):
        check(image(roots, network=Network(mode="path", path="/run/netns/none-such")))
    os.mkfifo(roots / "fifo")
    for path in ("/proc/self/ns/pid", "/etc/passwd", "/etc", "/dev/null", str(roots / "fifo")):
        with pytest.raises(Invalid, match="not a network namespace"):
            check(image(roots, network=Network(mode="path", path=path)))


def test_a_swapped_name_leads_nowhere_else(roots):
    """Between check and mount a folder becomes a link: the open one is still the old one."""
    target = roots / "allowed/image"
    (target / "mark").touch()
    with Roots([roots / "allowed"], "rule").pinned(str(target), "source.rootfs") as pinned:
        target.rename(roots / "allowed/away")
        target.symlink_to(roots / "secret")
        assert (Path(f"/proc/self/fd/{pinned.fd}") / "mark").exists()
        assert not (target / "mark").exists()


def test_refusing_changes_nothing_and_leaks_nothing(roots, check):
    (roots / "allowed/way").symlink_to(roots / "secret")
    before, fds = tree(roots), open_files()
    for path in ("allowed/way", "allowed/none", "secret", "allowed/bundle/config.json"):
        with pytest.raises((Denied, NotFound, Invalid)):
            check(bundle(roots / path))
    check(bundle(roots / "allowed/bundle"))
    assert (tree(roots), open_files()) == (before, fds)
