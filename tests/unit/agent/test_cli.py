"""The agent's own command line, before anything is read or started."""

from __future__ import annotations

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
