"""A checkpoint brings no rights with it that the node does not give."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.counting import COUNTS, Counting
from tests.integration.world import Site, kill, start
from tests.security.policy_cases import OPEN
from tests.support.requirements import requires

from wharfside_protocol.codec import to_plain
from wharfside_protocol.errors import Denied
from wharfside_protocol.specs import Limits

pytestmark = requires("criu")

MIB = 1024 * 1024
ROOM = """
[capacity]
enforce = ["memory"]
total = { memory_mib = 700 }
reserve = {}
"""

NARROW = """
[policy]
capabilities = ["CAP_CHOWN", "CAP_KILL"]
"""


async def test_a_restore_is_judged_by_what_the_image_carries(own: Site, tmp_path: Path) -> None:
    """In place, as a new one, and as a file that is loaded; nothing is changed, and where it is
    open again it goes on."""
    own.agent.write_config(OPEN)
    await start(own.agent)
    try:
        name = await own.run(COUNTS, checkpointable=True)
        counting = await Counting.of(own, name)
        await counting.further(1)
        await own.node.checkpoint(name, "one", exit=True)
        await own.told.exit(name)
        saved = tmp_path / "one.tar"
        await own.node.save_checkpoint(name, "one", saved)
        await kill(own.agent)
        own.agent.write_config(NARROW)
        await start(own.agent)
        in_place = {"container": name, "checkpoint": "one"}
        for args in (in_place, {"container": "copy", "checkpoint": "one", "source": name}):
            told = await own.node.policy_check("restore", args)
            with pytest.raises(Denied, match="capabilities") as denied:
                await own.node.call("restore", args)
            assert denied.value.details["rule"] == "policy.capabilities"
            assert told.error == denied.value.to_body()
        assert [(v.container, v.state, v.run) for v in await own.node.list(all=True)] == [
            (name, "stopped", 1)
        ]
        await own.node.delete_checkpoint(name, "one")
        with pytest.raises(Denied, match="capabilities"):
            await own.node.load_checkpoint(saved)
        assert not (await own.node.checkpoints()).checkpoints
        await kill(own.agent)
        own.agent.write_config(OPEN)
        await start(own.agent)
        await own.node.load_checkpoint(saved)
        assert (await own.node.policy_check("restore", in_place)).allowed
        assert (await own.node.restore(name, "one")).run == 2
        await counting.further(2)
    finally:
        await own.clear()


async def test_what_is_on_its_way_here_is_promised_its_room(own: Site) -> None:
    own.agent.write_config(ROOM)
    await start(own.agent)
    try:
        limits = Limits(memory_bytes=300 * MIB)
        name = await own.run(COUNTS, checkpointable=True, limits=limits)
        facts = await own.node.call("facts", {"container": name})
        spec = (await own.node.inspect(name)).spec
        coming = {
            "migration": "moving-here",
            "container": "coming",
            "spec": to_plain(spec),
            "source": "elsewhere",
            "facts": to_plain(facts),
        }
        await own.node.call("receive", coming)
        assert await promised_mib(own) == 600
        other = coming | {"migration": "moving-too", "container": "other"}
        told = await own.node.policy_check("receive", other)
        with pytest.raises(Denied) as denied:
            await own.node.call("receive", other)
        assert denied.value.details["rule"] == "capacity.memory"
        assert told.error == denied.value.to_body()
        await kill(own.agent)
        await start(own.agent)
        assert await promised_mib(own) == 600
        await own.node.call("abort-migration", {"migration": "moving-here"})
        assert await promised_mib(own) == 300
    finally:
        await own.clear()


async def promised_mib(site: Site) -> float:
    found = (await site.node.info()).capacity
    assert found is not None
    return found.promised.memory_bytes / MIB
