"""The bus's pure parts: the order of servers, what counts as whole credentials."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.jwts import Trust

from wharfside_agent.bus.credentials import (
    BadCredentials,
    read_creds,
    read_password,
    read_seed,
)
from wharfside_agent.bus.options import BusOptions, location
from wharfside_agent.bus.servers import Servers

OURS = ["nats://u:p@one:4222", "nats://two:4222", "nats://three:4222"]


def test_the_lost_server_comes_last_and_found_ones_after_ours() -> None:
    servers = Servers(OURS)
    servers.lost("one:4222", ["nats://four:4222", "nats://two:4222"])
    for _ in range(20):
        order = servers.round()
        assert sorted(order) == sorted([*OURS, "nats://four:4222"])
        assert order[2] == "nats://four:4222"
        assert order[-1] == OURS[0]


def test_each_node_has_an_order_of_its_own() -> None:
    assert len({tuple(Servers(OURS).round()) for _ in range(100)}) > 1


def test_a_location_tells_no_password() -> None:
    assert location("nats://user:secret@host:4222") == "host:4222"
    assert location("host:4222") == "host:4222"


def test_creds_are_whole_or_refused(tmp_path: Path) -> None:
    whole, file = Trust().creds(), tmp_path / "node.creds"
    file.write_text(whole)
    assert str(read_creds(file)) == whole
    end = whole.rindex("------END")
    for cut in range(0, end, 7):
        file.write_text(whole[:cut])
        with pytest.raises(BadCredentials, match="rename"):
            read_creds(file)
    file.write_bytes(b"\xff" * 1000)
    with pytest.raises(BadCredentials):
        read_creds(file)
    file.unlink()
    with pytest.raises(OSError, match="No such file"):
        read_creds(file)


@pytest.mark.parametrize("text", ["", "\n", "SUAX", "not a seed"])
def test_a_seed_that_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "seed"
    file.write_text(text)
    with pytest.raises(BadCredentials):
        read_seed(file)


def test_a_password_is_the_first_line(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret\nmore\n")
    assert read_password(file) == "secret"
    file.write_text("\n")
    with pytest.raises(BadCredentials):
        read_password(file)


@pytest.mark.parametrize("kind", ["creds", "nkey_seed", "password_file", "ca"])
def test_a_file_that_cannot_be_used_is_named(kind: str, tmp_path: Path) -> None:
    """An agent that goes on trying says nothing else of why it is not let in."""
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "directory")):
        options = BusOptions(("nats://here",), "n1", "_INBOX_n1", **{kind: path})  # type: ignore[arg-type]
        with pytest.raises(BadCredentials, match=why) as caught:
            options.connect_arguments("nats://here")
        assert str(path) in str(caught.value)
