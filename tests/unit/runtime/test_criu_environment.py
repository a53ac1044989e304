"""What CRIU is told of the network: by a file that is there only where it is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from wharfside_agent.runtime.criu_environment import dump_environment, environment
from wharfside_protocol.views import CriuInfo


def criu(version: str | None) -> CriuInfo:
    return CriuInfo(usable=True, path="/opt/criu/bin/criu", version=version)


def test_without_connections_the_network_is_not_locked(tmp_path: Path) -> None:
    home = tmp_path / "criu"
    told = dump_environment(criu("4.2.1"), home, tcp=False)
    assert told == environment(criu("4.2.1")) | {"HOME": str(home)}
    assert (home / ".criu" / "default.conf").read_text() == "network-lock skip\n"


@pytest.mark.parametrize(
    ("version", "tcp"), [("4.2.1", True), ("3.17.1", False), ("", False), (None, False)]
)
def test_with_them_or_by_one_that_knows_no_skip_it_is(
    version: str | None, tcp: bool, tmp_path: Path
) -> None:
    home = tmp_path / "criu"
    assert dump_environment(criu(version), home, tcp=tcp) == environment(criu(version))
    assert not home.exists()
