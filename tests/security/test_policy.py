"""The node's policy over the real bus: each rule denies by rpc and by mail, and leaves nothing.

What one node denies, another one with the rule opened runs; and `policy-check` foretells both.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.raw import Raw
from tests.integration.world import Site, World, open_site
from tests.security.policy_cases import CASES, OPEN, TIGHT, Case
from tests.support.agent import AgentProcess

from wharfside_protocol.errors import Denied, ErrorBody
from wharfside_protocol.node_commands import PolicyCheckValue
from wharfside_protocol.specs import Limits

pytestmark = pytest.mark.requires("root", "crun", "runc", "conmon", "busybox-static")


def an_agent(world: World, name: str, policy: str) -> Iterator[AgentProcess]:
    with world.running(name, policy) as agent:
        yield agent


@pytest.fixture(scope="module")
def tight_agent(world: World) -> Iterator[AgentProcess]:
    yield from an_agent(world, "tight", TIGHT)


@pytest.fixture(scope="module")
def open_agent(world: World) -> Iterator[AgentProcess]:
    yield from an_agent(world, "open", OPEN)


@pytest.fixture
async def tight(world: World, tight_agent: AgentProcess) -> AsyncIterator[Site]:
    async with open_site(world, tight_agent) as site:
        await site.fleet.setup.add_node("tight")
        yield site
        await site.clear()


@pytest.fixture
async def opened(world: World, open_agent: AgentProcess) -> AsyncIterator[Site]:
    async with open_site(world, open_agent) as site:
        yield site
        await site.clear()


async def foretold(site: Site, op: str, args: object) -> PolicyCheckValue:
    return await site.node.policy_check(op, args)  # type: ignore[arg-type]


def left(agent: AgentProcess) -> list[str]:
    """Folders of runs, layers and logs."""
    tops = (agent.folder / "run/runs", agent.folder / "state/layers", agent.folder / "state/logs")
    return [str(each) for top in tops if top.exists() for each in top.iterdir()]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_rule_denies_by_rpc_and_by_mail_and_leaves_nothing(
    tight: Site, tight_agent: AgentProcess, case: Case
) -> None:
    name = tight.name()
    spec = case.spec(tight, name)
    told = await foretold(tight, "run", spec)
    with pytest.raises(Denied) as by_rpc:
        await tight.node.run(spec)
    with pytest.raises(Denied) as by_mail:
        await tight.node.run(spec, durable=True)
    assert by_rpc.value.details["rule"] == f"policy.{case.rule}"
    bodies = [by_rpc.value.to_body(), by_mail.value.to_body()]
    assert [_words(told.error), *map(_words, bodies)] == [_words(told.error)] * 3
    assert await tight.node.list(all=True) == []
    assert not left(tight_agent)
    assert tight.told.of(name) == []


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_where_the_rule_is_open_the_same_runs(opened: Site, case: Case) -> None:
    spec = case.spec(opened, opened.name())
    told = await foretold(opened, "run", spec)
    assert (told.allowed, told.error, told.rules) == (True, None, "policy")
    await opened.node.create(spec)
    if spec.restart is None:
        await opened.node.start(spec.container)
        exit_ = (await opened.node.wait(spec.container)).exit
        assert exit_ is not None and exit_.exit_code == 0


def _words(error: ErrorBody | None) -> object:
    assert error is not None
    return error.code, error.message, error.details


async def test_a_hook_runs_on_the_node_only_where_it_is_let_in(
    tight: Site, opened: Site, tmp_path: Path
) -> None:
    """The one that makes a bundle's owner root on the node."""
    mark = tmp_path / "hooked"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"cat > {mark}"]}

    def hooked(config: dict[str, object]) -> None:
        config["hooks"] = {"createRuntime": [hook]}

    case = Case("hook", "hooks", change=hooked)
    with pytest.raises(Denied, match="createRuntime"):
        await tight.node.run(case.spec(tight, tight.name()))
    assert not mark.exists()
    await opened.node.run(case.spec(opened, opened.name()))
    assert json.loads(mark.read_text())["id"]


async def test_a_bundle_that_leaves_seccomp_out_gets_the_nodes(tight: Site, opened: Site) -> None:
    """Of a program's own point of view: proc(5), `Seccomp`."""
    args = ["/bin/sh", "-c", "grep -E '^Seccomp:' /proc/self/status"]

    def asks(config: dict[str, dict[str, object]]) -> None:
        config["process"]["args"] = args

    modes = []
    for site in (tight, opened):
        spec = Case("seccomp", "seccomp", change=asks).spec(site, site.name())
        await site.node.run(spec)
        output = (await site.node.wait(spec.container, output=True)).output
        assert output is not None
        modes.append(output.stdout.split()[-1])
    assert modes == [b"2", b"0"]


async def test_each_further_run_is_judged_again(tight: Site) -> None:
    """A bundle that turned evil after its create does not come to run."""
    case = Case("turns", "hooks", change=lambda _config: None)
    spec = case.spec(tight, tight.name())
    await tight.node.run(spec)
    await tight.node.wait(spec.container)
    path = Path(spec.source.bundle or "") / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"hooks": {"poststop": [{"path": "/bin/true"}]}}))
    with pytest.raises(Denied, match="poststop"):
        await tight.node.start(spec.container)
    after = await tight.node.inspect(spec.container)
    assert (after.state, after.run) == ("stopped", 1)
    assert tight.told.types(spec.container) == ["created", "started", "exited"]


async def test_a_bind_in_a_bundle_leads_nowhere_else(opened: Site) -> None:
    """Not by a path of the node, nor by a link in the bundle: not even where much is open."""

    def binds(source: str) -> Case:
        mount = {"destination": "/x", "type": "bind", "source": source, "options": ["rbind"]}
        return Case("bind", "mount-roots", change=lambda c: c["mounts"].append(mount))

    with pytest.raises(Denied) as outside:
        await opened.node.run(binds("/etc").spec(opened, opened.name()))
    assert outside.value.details["rule"] == "mount-roots"
    name = opened.name()
    spec = binds("link").spec(opened, name)
    (Path(spec.source.bundle or "") / "link").symlink_to("/")
    with pytest.raises(Denied) as linked:
        await opened.node.run(spec)
    assert linked.value.details["rule"] == "no-symbolic-links"


async def test_an_update_beyond_the_most_is_denied_and_changes_nothing(tight: Site) -> None:
    name = await tight.run(limits=Limits(pids=50))
    wanted = {"container": name, "limits": {"pids": 101}}
    told = await foretold(tight, "update", wanted)
    with pytest.raises(Denied) as denied:
        await tight.node.update(name, Limits(pids=101))
    assert _words(told.error) == _words(denied.value.to_body())
    assert denied.value.details["rule"] == "policy.limits_at_most"
    details = await tight.node.inspect(name)
    assert details.spec.limits == Limits(pids=50)
    assert (await foretold(tight, "update", wanted | {"limits": {"pids": 99}})).allowed
    await tight.node.update(name, Limits(pids=99))


MATRIX: tuple[tuple[str, dict[str, object]], ...] = (
    ("run", {"container": "Bad Name"}),
    ("start", {"container": "nobody"}),
    ("exec", {"container": "nobody", "process": {"args": ["true"]}}),
    ("exec", {"container": "lives", "process": {"args": ["true"], "no_new_privileges": False}}),
    ("exec", {"container": "lives", "process": {"args": []}}),
    ("update", {"container": "lives", "limits": {}}),
    ("update", {"container": "lives", "limits": {"pids": 1000}}),
    ("restore", {"container": "lives", "checkpoint": "none"}),
    ("restore", {"container": "new", "source": "nobody", "checkpoint": "none"}),
    ("run", {"container": "lives", "source": {"rootfs": "/etc"}, "process": {"args": ["true"]}}),
    ("create", {"container": "x", "source": {"bundle": "/etc"}}),
    ("start", {"container": "lives"}),
)


async def test_policy_check_says_what_the_command_would_be_told(tight: Site, raw: Raw) -> None:
    await tight.run(name="lives", limits=Limits(pids=50))
    for op, args in MATRIX:
        told = await foretold(tight, op, args)
        asked = await raw.command("tight", op, args)
        assert not told.allowed and not asked.ok
        assert _words(told.error) == _words(asked.error), op
    assert [view.container for view in await tight.node.list(all=True)] == ["lives"]
