"""The config.json that a run gets: from a rootfs, from a bundle, and for an exec."""

import copy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_agent.core import oci_defaults as defaults
from wharfside_agent.core.oci_config import (
    Machine,
    RunFacts,
    exec_process,
    from_bundle,
    from_rootfs,
)
from wharfside_agent.core.seccomp import profile_for
from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_commands import TerminalSize
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

MIB = 1 << 20
V1, V2 = Machine("v1", "x86_64", 20_000), Machine("v2", "aarch64", 1_000_000)


def facts(machine=V1, **more):
    known = {"container": "web", "rootfs": "/run/rootfs", "cgroup_path": "/w/ctr/1"} | more
    return RunFacts(machine, **known)


def rootfs_spec(machine=V1, **fields):
    process = fields.pop("process", ProcessSpec(args=["true"]))
    source = Source(rootfs="/roots/a", readonly=fields.pop("readonly", False))
    spec = ContainerSpec(source=source, process=process, **fields)
    return from_rootfs(spec, facts(machine))


def kinds(config):
    return [each["type"] for each in config["linux"]["namespaces"]]


def test_the_defaults_are_those_of_a_good_runtime():
    config = rootfs_spec()
    process = config["process"]
    assert process["args"] == ["true"]
    assert process["env"] == [defaults.PATH, "HOSTNAME=web"]
    assert (process["cwd"], process["terminal"], process["noNewPrivileges"]) == ("/", False, True)
    assert process["user"] == {"uid": 0, "gid": 0}
    assert len(process["capabilities"]["bounding"]) == 14
    assert set(process["capabilities"]) == {"bounding", "effective", "permitted"}
    assert config["hostname"] == "web"
    assert config["root"] == {"path": "/run/rootfs", "readonly": False}
    assert "/proc/kcore" in config["linux"]["maskedPaths"]
    assert "/proc/sys" in config["linux"]["readonlyPaths"]
    assert config["linux"]["seccomp"] == profile_for("x86_64")
    assert config["linux"]["cgroupsPath"] == "/w/ctr/1"
    assert config["linux"]["resources"] == {"devices": [{"allow": False, "access": "rwm"}]}


def test_sys_and_its_cgroups_are_read_only_and_in_order():
    mounts = {mount["destination"]: mount for mount in rootfs_spec()["mounts"]}
    assert list(mounts)[:3] == ["/proc", "/dev", "/dev/pts"]
    assert list(mounts)[-2:] == ["/sys", "/sys/fs/cgroup"]
    assert all("ro" in mounts[path]["options"] for path in ("/sys", "/sys/fs/cgroup"))
    assert all("nosuid" in mount["options"] for mount in mounts.values())


def test_it_is_plain_json():
    config = rootfs_spec(limits=Limits(pids=3), mounts=[Mount(source="/a", target="/b")])
    assert msgspec.json.decode(msgspec.json.encode(config)) == config


def test_the_callers_wishes_win():
    process = ProcessSpec(
        args=["id", "-u"],
        env=["PATH=/bin", "A=1", "A=2"],
        cwd="/tmp",
        user=User(uid=5, gid=6, additional_gids=[7]),
        no_new_privileges=False,
    )
    config = rootfs_spec(process=process, hostname="named.example", readonly=True)
    assert config["process"]["env"] == ["PATH=/bin", "HOSTNAME=named.example", "A=2"]
    assert config["process"]["cwd"] == "/tmp"
    assert config["process"]["user"] == {"uid": 5, "gid": 6, "additionalGids": [7]}
    assert config["process"]["noNewPrivileges"] is False
    assert (config["hostname"], config["root"]["readonly"]) == ("named.example", True)


@pytest.mark.parametrize(
    ("own_hard", "soft", "hard"),
    [(20_000, 1024, 20_000), (1 << 30, 1024, 524_288), (512, 512, 512)],
)
def test_no_file_limit_above_the_agents_own(own_hard, soft, hard):
    (limit,) = rootfs_spec(Machine("v1", "x86_64", own_hard))["process"]["rlimits"]
    assert limit == {"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}


def test_a_cgroup_namespace_in_v2_only():
    assert kinds(rootfs_spec(V1)) == ["pid", "ipc", "uts", "mount", "network"]
    assert kinds(rootfs_spec(V2)) == ["pid", "ipc", "uts", "mount", "cgroup", "network"]


def test_the_network_is_none_host_or_a_path():
    alone = rootfs_spec(network=Network(mode="none"))
    host = rootfs_spec(network=Network(mode="host"))
    other = rootfs_spec(network=Network(mode="path", path="/run/netns/a"))
    assert alone["linux"]["namespaces"][-1] == {"type": "network"}
    assert "network" not in kinds(host)
    assert other["linux"]["namespaces"][-1] == {"type": "network", "path": "/run/netns/a"}


def test_binds_come_last_and_read_only_ones_are_so_below_too():
    mounts = [Mount(source="/a", target="/b"), Mount(source="/c", target="/d", readonly=False)]
    closed, opened = rootfs_spec(mounts=mounts)["mounts"][-2:]
    assert (closed["source"], closed["destination"], closed["type"]) == ("/a", "/b", "bind")
    assert {"rbind", "ro", "rro", "nosuid", "nodev"} <= set(closed["options"])
    assert "rw" in opened["options"] and "rro" not in opened["options"]


def test_limits_stand_beside_the_device_rules():
    limits = Limits(memory_bytes=MIB, cpu_weight=50)
    resources = rootfs_spec(V2, limits=limits)["linux"]["resources"]
    assert resources["memory"] == {"limit": MIB}
    assert resources["unified"] == {"cpu.weight": "50"}
    assert resources["devices"][0]["allow"] is False


def test_a_rootfs_without_a_process_is_refused():
    spec = ContainerSpec(source=Source(rootfs="/roots/a"))
    with pytest.raises(Invalid, match="process"):
        from_rootfs(spec, facts())


THEIRS = {
    "ociVersion": "1.0.2",
    "process": {
        "cwd": "/srv",
        "args": ["serve"],
        "env": ["PATH=/bin", "MODE=theirs"],
        "user": {"uid": 9, "gid": 9, "umask": 63},
        "capabilities": {"bounding": ["CAP_KILL"]},
        "oomScoreAdj": 100,
    },
    "root": {"path": "rootfs", "readonly": True},
    "hostname": "theirs",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/data", "type": "bind", "source": "data", "options": ["ro"]},
        {"destination": "/more", "source": "/abs", "options": ["rbind"]},
        {"destination": "/rel", "type": "none", "source": "./rel", "options": ["bind"]},
    ],
    "hooks": {"poststop": [{"path": "/bin/true"}]},
    "annotations": {"theirs": "1"},
    "linux": {
        "cgroupsPath": "/theirs",
        "namespaces": [{"type": "pid"}, {"type": "network", "path": "/theirs/net"}],
        "resources": {
            "memory": {"limit": 9 * MIB, "swap": 9 * MIB, "swappiness": 10},
            "pids": {"limit": 5},
            "cpu": {"shares": 9, "cpus": "0"},
            "unified": {"memory.max": "1", "pids.max": "1", "io.weight": "7"},
        },
        "sysctl": {"net.core.somaxconn": "7"},
    },
}


def bundle_config(theirs=THEIRS, machine=V1, readonly=False, **fields):
    spec = ContainerSpec(source=Source(bundle="/roots/b", readonly=readonly), **fields)
    more = {"bundle": "/roots/b", "rootfs": "/roots/b/rootfs", "annotations": {"ours": "2"}}
    return from_bundle(theirs, spec, facts(machine, **more))


def test_a_bundle_stays_itself_but_for_its_places():
    config = bundle_config()
    assert config["root"] == {"path": "/roots/b/rootfs", "readonly": True}
    assert config["linux"]["cgroupsPath"] == "/w/ctr/1"
    assert config["annotations"] == {"theirs": "1", "ours": "2"}
    assert config["process"] == {**THEIRS["process"], "terminal": False}
    for kept in ("hooks", "hostname", "ociVersion"):
        assert config[kept] == THEIRS[kept]
    for kept in ("namespaces", "resources", "sysctl"):
        assert config["linux"][kept] == THEIRS["linux"][kept]


def test_relative_binds_are_found_from_the_callers_bundle():
    sources = [mount["source"] for mount in bundle_config()["mounts"]]
    assert sources == ["proc", "/roots/b/data", "/abs", "/roots/b/./rel"]


def test_the_callers_config_is_not_changed():
    before = copy.deepcopy(THEIRS)
    bundle_config(
        limits=Limits(pids=1),
        network=Network(mode="host"),
        process=ProcessSpec(args=["x"], env=["MODE=ours"]),
        mounts=[Mount(source="/a", target="/b")],
    )
    assert before == THEIRS


def test_the_spec_overrides_what_it_gives_of_the_process():
    process = ProcessSpec(args=["other"], env=["MODE=ours", "NEW=1"], user=User(uid=1, gid=2))
    merged = bundle_config(process=process)["process"]
    assert merged["args"] == ["other"]
    assert merged["env"] == ["PATH=/bin", "MODE=ours", "NEW=1"]
    assert merged["user"] == {"uid": 1, "gid": 2, "umask": 63}
    assert (merged["cwd"], merged["oomScoreAdj"]) == ("/srv", 100)
    assert "noNewPrivileges" not in merged


def test_the_network_of_a_bundle_is_replaced_where_one_is_given():
    assert kinds(bundle_config(network=Network(mode="host"))) == ["pid"]
    alone = bundle_config(network=Network(mode="none"))
    assert alone["linux"]["namespaces"] == [{"type": "pid"}, {"type": "network"}]


def test_limits_win_over_the_bundles_fields_and_files():
    limits = Limits(memory_bytes=MIB, cpu_weight=100)
    resources = bundle_config(limits=limits)["linux"]["resources"]
    assert resources["memory"] == {"limit": MIB, "swappiness": 10}
    assert resources["cpu"] == {"shares": 1024, "cpus": "0"}
    assert resources["pids"] == {"limit": 5}
    assert resources["unified"] == {"pids.max": "1", "io.weight": "7"}


def test_read_only_can_be_asked_for_not_taken_away():
    writable = {**THEIRS, "root": {"path": "rootfs"}}
    assert bundle_config(writable)["root"]["readonly"] is False
    assert bundle_config(writable, readonly=True)["root"]["readonly"] is True
    assert bundle_config(THEIRS, readonly=False)["root"]["readonly"] is True


def test_a_bundle_without_a_process_gets_the_nodes_defaults():
    bare = {key: value for key, value in THEIRS.items() if key != "process"}
    config = bundle_config(bare, process=ProcessSpec(args=["true"]))
    assert config["process"]["noNewPrivileges"] is True
    assert len(config["process"]["capabilities"]["bounding"]) == 14
    with pytest.raises(Invalid, match="process"):
        bundle_config(bare)


def test_nulls_of_the_caller_are_as_if_left_out():
    theirs = {**THEIRS, "mounts": None, "annotations": None}
    theirs["linux"] = {"namespaces": None, "resources": None}
    config = bundle_config(theirs, limits=Limits(pids=2), network=Network())
    assert config["mounts"] == []
    assert config["linux"]["resources"] == {"pids": {"limit": 2}}
    assert config["linux"]["namespaces"] == [{"type": "network"}]


def test_an_exec_inherits_what_it_does_not_give():
    init = rootfs_spec(process=ProcessSpec(args=["init"], env=["A=1"], cwd="/srv"))["process"]
    added = exec_process(init, ProcessSpec(args=["id"]), Io())
    assert added == {**init, "args": ["id"]}
    assert init["args"] == ["init"]


def test_an_exec_gives_its_own():
    init = rootfs_spec()["process"]
    spec = ProcessSpec(args=["id"], env=["B=2"], cwd="/tmp", user=User(uid=3, gid=4))
    added = exec_process(init, spec, Io())
    assert added["env"] == [*init["env"], "B=2"]
    assert (added["cwd"], added["user"]) == ("/tmp", {"uid": 3, "gid": 4})
    assert added["noNewPrivileges"] is True and added["terminal"] is False
    assert added["capabilities"] == init["capabilities"]


def test_a_terminal_is_the_callers_choice_and_brings_a_term():
    init = rootfs_spec()["process"] | {"terminal": True, "consoleSize": {"height": 1, "width": 1}}
    spec, size = ProcessSpec(args=["sh"]), TerminalSize(rows=24, columns=80)
    plain = exec_process(init, spec, Io(), size)
    assert plain["terminal"] is False and "consoleSize" not in plain
    assert not [entry for entry in plain["env"] if entry.startswith("TERM=")]
    added = exec_process(init, spec, Io(tty=True), size)
    assert (added["terminal"], added["consoleSize"]) == (True, {"height": 24, "width": 80})
    assert "TERM=xterm" in added["env"]
    own = exec_process(init, ProcessSpec(args=["sh"], env=["TERM=vt100"]), Io(tty=True))
    assert [entry for entry in own["env"] if entry.startswith("TERM=")] == ["TERM=vt100"]


def test_inits_terminal():
    made = rootfs_spec(io=Io(tty=True))["process"]
    assert made["terminal"] is True and "TERM=xterm" in made["env"]
    theirs = bundle_config(io=Io(tty=True))["process"]
    assert theirs["terminal"] is True and "TERM=xterm" in theirs["env"]


variables = st.lists(st.tuples(st.sampled_from("ABC"), st.text("xy=", max_size=3)))


@given(variables, variables)
def test_env_is_a_map_of_which_the_last_word_wins(before, after):
    init = {"args": ["x"], "cwd": "/", "env": [f"{name}={value}" for name, value in before]}
    spec = ProcessSpec(args=["x"], env=[f"{name}={value}" for name, value in after])
    merged = exec_process(init, spec, Io())["env"]
    assert dict(entry.split("=", 1) for entry in merged) == dict(before) | dict(after)
    assert len(merged) == len({entry.split("=", 1)[0] for entry in merged})
