"""Where to connect: flags, contexts of the nats CLI, environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wharfside_client.contexts import find_settings
from wharfside_client.errors import BadSettings
from wharfside_client.settings import DEFAULT_SERVER, ServerSettings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the contexts `lab` and `prod`, as the nats CLI writes them."""
    folder = tmp_path / ".config/nats/context"
    folder.mkdir(parents=True)
    lab = {"description": "", "url": "nats://lab:4222", "user": "ops", "password": "secret"}
    prod = {"url": "tls://a:4222, tls://b:4222", "creds": "~/ops.creds", "ca": "/etc/ca.pem"}
    (folder / "lab.json").write_text(json.dumps(lab))
    (folder / "prod.json").write_text(json.dumps(prod))
    return tmp_path


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), **more}


def test_nothing_said_is_the_server_on_this_machine(tmp_path: Path) -> None:
    assert find_settings({}, None, environment(tmp_path)).servers == (DEFAULT_SERVER,)


def test_a_named_context_comes_before_the_environment(home: Path) -> None:
    found = find_settings({}, "prod", environment(home, NATS_URL="nats://here:4222"))
    assert found.servers == ("tls://a:4222", "tls://b:4222")
    assert found.creds == str(Path("~/ops.creds").expanduser())
    assert found.ca == "/etc/ca.pem"


def test_a_flag_comes_before_all(home: Path) -> None:
    flags = {"servers": "nats://flag:4222", "creds": None}
    found = find_settings(flags, "lab", environment(home, NATS_URL="nats://here:4222"))
    assert (found.servers, found.user, found.password) == (("nats://flag:4222",), "ops", "secret")


def test_one_way_to_say_who_we_are_hides_the_others(home: Path) -> None:
    """nats-py prefers credentials to an nkey, whichever was said last."""
    there = environment(home, NATS_CREDS="/env.creds", NATS_CONTEXT="lab")
    found = find_settings({"nkey": "/flag.nk"}, None, there)
    assert (found.creds, found.nkey, found.user, found.password) == (None, "/flag.nk", None, None)
    assert find_settings({}, None, there).creds == "/env.creds"
    other_password = environment(home, NATS_PASSWORD="other", NATS_CONTEXT="lab")
    found = find_settings({}, None, other_password)
    assert (found.user, found.password) == ("ops", "other")


def test_the_environment_comes_before_a_selected_context(home: Path) -> None:
    (home / ".config/nats/context.txt").write_text("lab\n")
    assert find_settings({}, None, environment(home)).servers == ("nats://lab:4222",)
    here = environment(home, NATS_URL="nats://here:4222")
    assert find_settings({}, None, here).servers == ("nats://here:4222",)


def test_contexts_are_looked_for_where_xdg_says(home: Path, tmp_path: Path) -> None:
    elsewhere = {"HOME": "/nowhere", "XDG_CONFIG_HOME": str(home / ".config")}
    assert find_settings({}, "lab", elsewhere).user == "ops"


def test_a_missing_or_broken_context_is_told(home: Path) -> None:
    with pytest.raises(BadSettings, match="no NATS context 'nope'"):
        find_settings({}, "nope", environment(home))
    (home / ".config/nats/context/bad.json").write_text("{")
    with pytest.raises(BadSettings, match="cannot be read"):
        find_settings({}, "bad", environment(home))


def test_files_are_checked_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="no such file"):
        ServerSettings(creds=str(tmp_path / "none.creds")).check()
    cut = tmp_path / "cut.creds"
    cut.write_text("-----BEGIN NATS USER JWT-----\neyJ0")
    with pytest.raises(BadSettings, match="give both, or neither"):
        ServerSettings(key=__file__).check()
    ServerSettings(cert=__file__, key=__file__).check()
    with pytest.raises(BadSettings, match="not a whole"):
        ServerSettings(creds=str(cut)).check()
    with pytest.raises(BadSettings, match="no seed"):
        ServerSettings(nkey=str(cut)).check()


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(ServerSettings(password="secret", token="secret"))
