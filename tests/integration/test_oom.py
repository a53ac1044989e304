"""Memory limits: `oom` before the exit that it caused, and for a child while init lives."""

from __future__ import annotations

import pytest
from tests.integration.fifos import shell
from tests.integration.world import Site

from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Limits

LIMIT = 32 << 20
EATS = "dd if=/dev/zero of=/dev/null bs=200M count=1"
"""dd's buffer is one allocation that it fills at once."""


@pytest.mark.parametrize("runtime", ["crun", "runc"])
async def test_oom_is_told_before_the_exit_that_it_caused(site: Site, runtime: str) -> None:
    name = await site.run(
        shell(f"exec {EATS}"), runtime=runtime, limits=Limits(memory_bytes=LIMIT, swap_bytes=0)
    )
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.signal) == (137, 9)
    assert (exit_.oom_killed, exit_.reason) == (True, ExitReason.OOM)
    assert exit_.memory_peak_bytes is not None
    assert LIMIT // 2 < exit_.memory_peak_bytes <= LIMIT
    assert site.told.types(name) == ["created", "started", "oom", "exited"]
    oom = await site.told.event(name, "oom")
    assert (oom.data["oom_kills"], oom.data["oom_kills_added"]) == (1, 1)
    assert oom.data["limit_bytes"] == LIMIT
    assert (await site.node.inspect(name)).oom_kills == 1


async def test_a_child_that_is_killed_is_told_while_init_lives(site: Site) -> None:
    cues = site.cues()
    script = f"{EATS}; echo $? >/cue/ready; read code </cue/go; exit $code"
    name = await site.run(
        shell(script), mounts=[cues.mount], limits=Limits(memory_bytes=LIMIT, swap_bytes=0)
    )
    assert await cues.ready() == "137"
    oom = await site.told.event(name, "oom")
    assert oom.data["oom_kills"] == 1
    view = await site.node.inspect(name)
    assert (view.state, view.oom_kills) == ("running", 1)
    cues.go("5")
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.oom_killed, exit_.reason) == (5, False, ExitReason.SELF)
    assert site.told.types(name) == ["created", "started", "oom", "exited"]


async def test_a_kill_by_hand_is_no_oom(site: Site) -> None:
    name = await site.run(limits=Limits(memory_bytes=LIMIT))
    await site.node.signal(name, "KILL")
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.oom_killed, exit_.reason) == (137, False, ExitReason.KILL)
    assert "oom" not in site.told.types(name)
