"""From a key that is made to the table of who did what, as an operator types it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from tests.integration.cli_kit import typed
from tests.integration.world import Site, start, stop
from tests.security.signing_kit import audited

from wharfside_protocol.events import Event


async def test_a_key_is_made_trusted_and_told(own: Site, tmp_path: Path) -> None:
    url, agent, seed = own.world.server.url, own.agent, tmp_path / "ci.nk"
    made = await typed(url, "auth", "sign-key", str(seed), "--actor", "ci", "--role", "deployer")
    assert (made.code, seed.stat().st_mode & 0o777) == (0, 0o600)
    (key,) = tomllib.loads(made.out)["trust"]["keys"]
    again = await typed(url, "auth", "sign-key", str(seed), "--actor", "ci")
    assert (again.code, again.err.count("never written over")) == (125, 1)
    agent.write_config(f'\n[trust]\nrequire = "changes"\n{made.out}')
    await start(agent)
    await own.node.ping(unreachable_s=20)
    signed = await typed(url, "undrain", agent.name, "--sign-key", str(seed))
    assert signed.code == 0, signed.err
    unsigned = await typed(url, "undrain", agent.name)
    assert (unsigned.code, unsigned.err.count("--sign-key")) == (1, 1)

    def both_are_told(_event: Event) -> bool:
        return len(audited(own.told.events, agent.name)) == 2

    await own.told.until(both_are_told, "both are told")
    table = await typed(url, "audit", agent.name)
    done, denied = table.out.splitlines()[1:]
    assert done.split()[2:] == [agent.name, "ci", "signed", "undrain", "-", "ok"]
    assert denied.split()[2] == agent.name
    assert denied.endswith("denied (trust.require)")
    only = await typed(url, "audit", agent.name, "--denied", "--json")
    (record,) = json.loads(only.out)
    assert (record["node"], record["rule"], record["proven"]) == (
        agent.name,
        "trust.require",
        False,
    )
    (found,) = json.loads((await typed(url, "audit", "--actor", "ci", "--json")).out)
    assert (found["key"], found["role"]) == (key["key"], "deployer")
    lines = await typed(url, "events", agent.name, "--type", "audit")
    assert "ci undrain" in lines.out
    assert "undrain denied" in lines.out
    (kept,) = json.loads((await typed(url, "commands", agent.name, "--json")).out)
    assert (kept["actor"], kept["key"]) == ("ci", key["key"])
    assert await stop(agent) == 0
