"""Bundles under real crun and runc: what the container sees, what the node keeps, what is left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.integration.bundle.ground import CGROUPS, INCARNATION, MIB, SECONDS, Ground, libc
from tests.support.requirements import requires

from wharfside_agent.core.oci_config import exec_process
from wharfside_agent.core.placement import Places, RunPlace
from wharfside_agent.core.policy.rules import Rules, RuleSet
from wharfside_agent.core.resources import to_resources
from wharfside_agent.ports.runtime import RunPlan
from wharfside_agent.runtime.bundle import Bundles, probe_machine
from wharfside_agent.runtime.mounts import mount_overlay, unmount
from wharfside_agent.runtime.seccomp_filter import ANNOTATION
from wharfside_protocol.errors import Denied, Invalid, NotFound, RuntimeFailed
from wharfside_protocol.specs import (
    ContainerSpec,
    Io,
    Limits,
    Mount,
    Network,
    ProcessSpec,
    Source,
    User,
)

pytestmark = requires("root", "busybox-static")


def test_a_container_has_the_defaults_of_a_good_runtime(ground):
    said = ground.shell("id; env; pwd; hostname; cat /proc/self/status; ulimit -n").split("\n")
    status = {line.split(":")[0]: line.split(":")[1].strip() for line in said if ":\t" in line}
    assert said[0].startswith("uid=0(root) gid=0(root)")
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in said
    assert "HOSTNAME=box" in said and "box" in said and "/" in said
    assert (status["CapEff"], status["CapInh"]) == ("00000000a80425fb", "0" * 16)
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert said[-2] == "1024"


def test_the_callers_process_is_what_runs(ground):
    process = ProcessSpec(
        args=["/bin/sh", "-c", "id; echo $A; pwd; cat /etc/lower; grep CapEff /proc/self/status"],
        env=["A=from the caller"],
        cwd="/tmp",
        user=User(uid=1000, gid=1001, additional_gids=[1002]),
    )
    said = ground.shell("", process=process).split("\n")
    assert said[0] == "uid=1000 gid=1001 groups=1002"
    assert said[1:4] == ["from the caller", "/tmp", "lowerCapEff:\t0000000000000000"]


@pytest.mark.parametrize(
    "script",
    ["unshare -n true", "unshare -U true", "mount -t tmpfs none /tmp", "setarch -R true"],
)
def test_seccomp_refuses_what_reaches_outside(ground, script):
    said = ground.shell(f"if {script}; then echo done; fi; echo end")
    assert "done" not in said and said.endswith("end\n")


def test_crun_gets_the_filter_ready_made_and_runc_the_profile(ground):
    config = ground.prepare(ground.true())
    assert (ANNOTATION in config["annotations"]) == (ground.runtime == "crun")
    assert bool(config["linux"]["seccomp"]["syscalls"]) == (ground.runtime == "runc")
    assert config["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"


def test_what_may_come_to_another_runtime_keeps_its_profile(ground):
    config = ground.prepare(msgspec.structs.replace(ground.true(), checkpointable=True))
    assert config["linux"]["seccomp"]["syscalls"] and ANNOTATION not in config["annotations"]


def test_a_crun_that_knows_no_ready_filter_gets_the_profile(ground):
    ground.bundles = Bundles(
        ground.places, [ground.folder / "roots"], [], probe_machine(CGROUPS), take_filters=()
    )
    assert ground.prepare(ground.true())["linux"]["seccomp"]["syscalls"]
    ground.bundles.remove(ground.place(), False)
    assert "Seccomp:\t2" in ground.shell("cat /proc/self/status")


def test_proc_and_sys_are_masked_and_read_only(ground):
    assert Path("/proc/keys").read_text() and ground.shell("cat /proc/keys") == ""
    ground.bundles.remove(ground.place(), False)
    limit = "memory/memory.limit_in_bytes" if CGROUPS == "v1" else "cgroup.procs"
    for path in ("/proc/sys/kernel/panic", f"/sys/fs/cgroup/{limit}"):
        assert "Read-only file system" in ground.shell(f"cat {path}; echo 1 > {path}")
        ground.bundles.remove(ground.place(), False)


def test_no_network_is_loopback_alone(ground):
    links = [line for line in ground.shell("ip -o link").split("\n") if line]
    assert len(links) == 1 and "lo:" in links[0] and "UP" in links[0]


def test_the_hosts_network_and_a_network_by_its_path(ground):
    ask = "readlink /proc/self/ns/net"
    assert ground.shell(ask, network=Network(mode="host")).strip() == _own_network()
    ground.bundles.remove(ground.place(), False)
    with subprocess.Popen(
        ["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin and holder.stdout
        holder.stdin.write(b"x")
        holder.stdin.flush()
        assert holder.stdout.read(1) == b"x"  # cat runs: unshare is done
        path = f"/proc/{holder.pid}/ns/net"
        said = ground.shell(ask, network=Network(mode="path", path=path)).strip()
        assert said == os.readlink(path) != _own_network()  # noqa: PTH115
        holder.stdin.close()


def _own_network() -> str:
    return os.readlink("/proc/self/ns/net")  # noqa: PTH115 - a name, not a path


def test_what_is_written_stays_in_the_layer(ground):
    before = _listing(ground.image)
    ground.shell("echo new > /etc/new; rm /etc/lower; touch /bin/busybox")
    assert _listing(ground.image) == before
    upper = ground.place().layer / "upper"
    assert (upper / "etc/new").read_text() == "new\n"


def test_the_next_run_finds_the_layer_and_the_next_incarnation_does_not(ground):
    ground.shell("echo kept > /etc/new")
    ground.bundles.remove(ground.place(), True)
    assert not ground.place().bundle.exists()
    spec = _shell(ground, "cat /etc/new")
    assert ground.run(spec, run=2).stdout == "kept\n"
    ground.bundles.remove(ground.place(2), False)
    assert "No such file" in ground.run(spec, run=1).stderr


def test_a_read_only_rootfs_has_no_overlay(ground):
    said = ground.shell("touch /x || echo closed; touch /dev/shm/x && echo shm", readonly=True)
    assert "Read-only file system" in said and said.endswith("closed\nshm\n")
    assert not ground.place().rootfs.exists() and not ground.place().layer.exists()


def test_binds_are_read_only_also_below_unless_said_otherwise(ground):
    shared = ground.folder / "shared"
    (shared / "below").mkdir()
    assert libc.mount(b"none", os.fsencode(shared / "below"), b"tmpfs", 0, b"size=1m") == 0
    try:
        said = ground.shell(
            "touch /r/x /r/below/x; touch /w/x /w/below/x && echo written",
            mounts=[
                Mount(source=str(shared), target="/r"),
                Mount(source=str(shared), target="/w", readonly=False),
            ],
        )
        assert said.count("Read-only file system") == 2 and said.endswith("written\n")
        assert (shared / "x").exists() and (shared / "below/x").exists()
    finally:
        unmount(shared / "below")


def test_limits_reach_the_cgroup_and_an_update_changes_only_its_own(ground):
    limits = Limits(memory_bytes=64 * MIB, pids=50, cpu_percent=50, cpu_weight=200, cpuset="0")
    process = ProcessSpec(args=["sleep", "60"])
    spec = ContainerSpec(source=Source(rootfs=str(ground.image)), process=process, limits=limits)
    _start(ground, spec)
    assert _limits(ground) == {
        "memory": str(64 * MIB),
        "pids": "50",
        "cpu": "50000 100000",
        "weight": "200" if CGROUPS == "v2" else "3661",
        "cpuset": "0",
    }
    before, resources = _limits(ground), ground.folder / "resources.json"
    given = Limits(memory_bytes=32 * MIB, pids=7)
    resources.write_text(json.dumps(to_resources(given, CGROUPS, limits)))
    done = ground.oci("update", "-r", str(resources), ground.place().runtime_id)
    assert done.returncode == 0, done.stderr
    assert _limits(ground) == {**before, "memory": str(32 * MIB), "pids": "7"}


def test_an_exec_has_the_containers_bounds(ground):
    process = ProcessSpec(args=["sleep", "60"], env=["A=init"])
    spec = ContainerSpec(source=Source(rootfs=str(ground.image)), process=process)
    config = _start(ground, spec)
    script = (
        "id; echo $A $B; pwd; grep -e Seccomp: -e NoNewPrivs /proc/self/status; unshare -n true"
    )
    wanted = ProcessSpec(
        args=["/bin/sh", "-c", script], env=["B=exec"], cwd="/tmp", user=User(uid=7, gid=8)
    )
    file = ground.folder / "process.json"
    file.write_text(json.dumps(exec_process(config["process"], wanted, Io())))
    done = ground.oci("exec", "--process", str(file), ground.place().runtime_id)
    said = done.stdout.split("\n")
    assert said[0].startswith("uid=7 gid=8")
    assert said[1:5] == ["init exec", "/tmp", "NoNewPrivs:\t1", "Seccomp:\t2"]
    assert "unshare" in done.stderr and done.returncode != 0


def _bundle(ground: Ground, **fields: Any) -> Path:
    """A caller's own bundle, as the runtime itself would write one."""
    bundle = ground.folder / "roots/bundle"
    (bundle / "data").mkdir(parents=True)
    (bundle / "data/file").write_text("theirs")
    shutil.copytree(ground.image, bundle / "rootfs", symlinks=True)
    (bundle / "rootfs/data").mkdir()
    subprocess.run([ground.runtime, "spec"], cwd=bundle, check=True, timeout=SECONDS)
    config = json.loads((bundle / "config.json").read_text())
    config["process"] |= {"args": ["/bin/sh", "-c", "hostname; cat /data/file"], "terminal": False}
    config["process"].pop("rlimits", None)
    bind = {"destination": "/data", "type": "bind", "source": "data", "options": ["rbind", "ro"]}
    config["mounts"].append(bind)
    (bundle / "config.json").write_text(json.dumps({**config, "hostname": "theirs", **fields}))
    return bundle


def test_a_bundle_runs_by_its_own_config_and_is_not_written_to(ground):
    bundle = _bundle(ground)
    before = _listing(bundle)
    done = ground.run(ContainerSpec(source=Source(bundle=str(bundle))))
    assert (done.stdout, done.stderr) == ("theirs\ntheirs", "")
    assert _listing(bundle) == before


def test_a_bundle_takes_what_the_spec_gives(ground):
    bundle = _bundle(ground)
    process = ProcessSpec(args=["/bin/sh", "-c", "hostname; echo $A; cat /sys/class/net/lo/mtu"])
    spec = ContainerSpec(
        source=Source(bundle=str(bundle)), process=process, hostname="ours", network=Network()
    )
    assert ground.run(spec).stdout == "ours\n\n65536\n"


def test_a_bundle_that_changed_since_the_check_is_refused_by_prepare(ground):
    bundle = _bundle(ground)
    spec = ContainerSpec(source=Source(bundle=str(bundle)))
    ground.bundles.check(spec, ground.runtime)
    shutil.rmtree(bundle / "rootfs")
    (bundle / "rootfs").symlink_to("/")
    plan = RunPlan("box", INCARNATION, 1, spec, ground.runtime)
    with pytest.raises(Denied):
        ground.bundles.prepare(plan, ground.place(), ground.cgroup)
    assert not ground.place().bundle.exists()


def test_a_bundle_brings_its_root_from_where_its_rules_let_it(ground):
    """One below the folder that is its caller's may name the root of somebody else's as its own."""
    path = _bundle(ground)
    config = json.loads((path / "config.json").read_text())
    others, roots = ground.folder / "roots/others", [ground.folder / "roots"]
    shutil.copytree(path / "rootfs", others, symlinks=True)
    (ground.folder / "link").symlink_to(roots[0])  # a root of the node's may be one
    rules = RuleSet("policy.roles.team", Rules(bundle_roots=(str(ground.folder / "link/bundle"),)))
    roots = [ground.folder / "link"]
    strict = Bundles(ground.places, roots, [], probe_machine(CGROUPS), lambda _: rules)
    spec = ContainerSpec(source=Source(bundle=str(ground.folder / "link/bundle")))
    assert strict.check(spec, ground.runtime)
    config["root"]["path"] = "../others"
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(Denied, match=str(others)) as denied:
        strict.check(spec, ground.runtime)
    assert denied.value.details["rule"] == "policy.roles.team.bundle_roots"
    plan = RunPlan("box", INCARNATION, 1, spec, ground.runtime)
    with pytest.raises(Denied, match=str(others)):
        strict.prepare(plan, ground.place(), ground.cgroup)


def test_the_written_config_is_found_again(ground):
    with pytest.raises(NotFound):
        ground.bundles.load_config(ground.place())
    config = ground.prepare(ground.true())
    assert ground.bundles.load_config(ground.place()) == config
    mode = ground.place().bundle.stat().st_mode
    assert oct(mode & 0o777) == "0o700"


def test_a_run_never_reuses_a_folder(ground):
    ground.prepare(ground.true())
    with pytest.raises(RuntimeFailed, match="never reuses"):
        ground.prepare(ground.true())
    assert ground.bundles.load_config(ground.place())["hostname"] == "box"


def test_limits_that_cannot_be_are_refused_before_anything_is_made(ground):
    spec = msgspec.structs.replace(ground.true(), limits=Limits(swap_bytes=MIB))
    with pytest.raises(Invalid, match="memory_bytes"):
        ground.bundles.check(spec, ground.runtime)
    assert not ground.places.run_dir.exists() and not ground.places.state_dir.exists()


def test_where_no_overlay_can_be_all_is_undone_and_said(ground):
    """An overlay cannot carry another one's layer, as in an agent within a container."""
    nested = ground.folder / "nested"
    for name in ("lower", "upper", "work", "state"):
        (nested / name).mkdir(parents=True)
    lower = os.open(nested / "lower", os.O_PATH)
    mount_overlay(lower, nested / "upper", nested / "work", nested / "state")
    os.close(lower)
    try:
        places = Places(ground.places.run_dir, nested / "state")
        bundles = Bundles(places, [ground.folder / "roots"], [], probe_machine(CGROUPS))
        place = RunPlace(places, INCARNATION, 1)
        plan = RunPlan("box", INCARNATION, 1, ground.true(), ground.runtime)
        with pytest.raises(RuntimeFailed, match=r"source\.readonly"):
            bundles.prepare(plan, place, ground.cgroup)
        assert not place.bundle.exists() and not place.layer.exists()
    finally:
        unmount(nested / "state")


def _shell(ground: Ground, script: str) -> ContainerSpec:
    process = ProcessSpec(args=["/bin/sh", "-c", script])
    return ContainerSpec(source=Source(rootfs=str(ground.image)), process=process)


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    paths = sorted(folder.rglob("*"))
    return [(str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in paths]


def _start(ground: Ground, spec: ContainerSpec) -> dict[str, Any]:
    """A container that runs on: its streams are not ours, or `create` would not end."""
    config = ground.prepare(spec)
    command = [ground.runtime, "--root", str(ground.folder / "oci"), "create"]
    words = [*command, "-b", str(ground.place().bundle), ground.place().runtime_id]
    subprocess.run(
        words,
        check=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    started = ground.oci("start", ground.place().runtime_id)
    assert started.returncode == 0, started.stderr
    return config


def _limits(ground: Ground) -> dict[str, str]:
    def read(controller: str, *names: str) -> str:
        top = Path("/sys/fs/cgroup") / (controller if CGROUPS == "v1" else "")
        folder = top / ground.cgroup.lstrip("/")
        return " ".join((folder / name).read_text().strip() for name in names)

    if CGROUPS == "v2":
        files = {"cpu": "cpu.max", "weight": "cpu.weight", "cpuset": "cpuset.cpus"}
        files |= {"memory": "memory.max", "pids": "pids.max"}
        return {name: read("", file) for name, file in files.items()}
    return {
        "memory": read("memory", "memory.limit_in_bytes"),
        "pids": read("pids", "pids.max"),
        "cpu": read("cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
        "weight": read("cpu", "cpu.shares"),
        "cpuset": read("cpuset", "cpuset.cpus"),
    }
