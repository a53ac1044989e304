"""The agent's own command line, before anything is read or started."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from wharfside_agent.cli import app


@pytest.mark.parametrize("words", [["-h"], ["run", "-h"], ["doctor", "--help"]])
def test_help_has_a_short_name_as_that_of_the_fleets_cli(words: list[str]) -> None:
    ran = CliRunner().invoke(app, words)
    assert (ran.exit_code, "Usage:" in ran.stdout) == (0, True)


def test_a_missing_configuration_is_named() -> None:
    ran = CliRunner().invoke(app, ["check-config", "--config", "/nonexistent.toml"])
    assert (ran.exit_code, "cannot read /nonexistent.toml" in ran.stderr) == (1, True)


def test_a_configuration_is_told_without_its_passwords(tmp_path: Path) -> None:
    text = '[nats]\nservers = ["tls://me:s3cret@hub:4222", "s3cret@other"]\npassword = "s3cret"\n'
    (tmp_path / "c.toml").write_text(text)
    ran = CliRunner().invoke(app, ["check-config", "--config", str(tmp_path / "c.toml")])
    assert (ran.exit_code, "s3cret" in ran.output) == (0, False)
    assert '"tls://hub:4222"' in ran.output
    assert '"nats://other"' in ran.output


def test_rules_that_hold_for_nobody_are_named(tmp_path: Path) -> None:
    key = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
    (tmp_path / "c.toml").write_text(
        f'[[trust.keys]]\nkey = "{key}"\nactor = "ann"\nrole = "deployer"\n'
        "[policy.roles.deployer]\n[policy.roles.admin]\n"
        "[policy.actors.ann]\n[policy.actors.an]\n"
    )
    ran = CliRunner().invoke(app, ["check-config", "--config", str(tmp_path / "c.toml")])
    idle = [line.split()[0] for line in ran.output.splitlines() if "holds for nobody" in line]
    assert (ran.exit_code, idle) == (0, ["policy.roles.admin", "policy.actors.an"])
