"""The configuration file: what it means, and how each mistake in it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from wharfside_agent.errors import SettingsError
from wharfside_agent.settings_file import load_settings

KEY = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
CI = f'{{ key = "{KEY}", actor = "ci" }}'
ROLED = f'{{ key = "{KEY}", actor = "ci", role = "deploier" }}'


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_an_empty_file_is_a_whole_configuration(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, '[node]\nname = "n1"\n'))
    assert settings.state_dir == Path("/var/lib/wharfside/n1")
    assert settings.run_dir == Path("/run/wharfside/n1")
    assert settings.nats.servers == ("nats://127.0.0.1:4222",)
    assert settings.runtime.bundle_roots == ("/var/lib/wharfside/bundles",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("node = 5\n", "node"),
        ('[node]\nname = "N1"\n', "node.name 'N1' is no name"),
        ('[node]\nname = "n1"\nlable = {}\n', "lable"),
        ('[node]\nname = "n1"\n[natz]\n', "natz"),
        ("[nats]\nservers = []\n", "servers"),
        ('[nats]\nprefix = "a..b"\n', "prefix"),
        ('[nats]\ncertificate = "/c.pem"\nkey = "/c.key"\n', "name in nats.ca the PEM file"),
        ('[nats]\nca = "/ca.pem"\nkey = "/c.key"\n', "name both, or neither"),
        ('[paths]\nstate_dir = "relative"\n', "absolute"),
        ('[paths]\nstate_dir = "/x/{nodename}"\n', "nodename"),
        ('[paths]\nstate_dir = "/x:y/{node}"\n', "without a colon"),
        ('[runtime]\ndefault = "docker"\n', "docker"),
        ('[runtime]\nbundle_roots = ["../x"]\n', "absolute"),
        ("[limits]\nlanes = 0\n", "lanes"),
        ('[trust]\nrequire = "changes"\n', "nobody could give a command"),
        (f'[trust]\nkeys = [{{ key = "{KEY[:-1]}A", actor = "ci" }}]\n', "public nkey"),
        (f'[trust]\nkeys = [{{ key = "{KEY}" }}]\n', "actor"),
        (f"[trust]\nkeys = [{CI}, {CI}]\n", "stands there twice"),
        (f"[trust]\nkeys = [{ROLED}]\n[policy.roles.deployer]\n", "no \\[policy.roles.deploier\\]"),
        ('[metrics]\nlisten = "127.0.0.1"\n', "metrics.listen"),
        ('[metrics]\nlisten = ":9464"\n', "metrics.listen"),
        ('[audit]\nevents = "some"\n', "some"),
        ("[pressure]\nmemory_percent = 101\n", "memory_percent"),
        ("[pressure]\nio_percent = -1\n", "io_percent"),
        ('[pressure]\ncpu_percent = "much"\n', "cpu_percent"),
        ("[pressure]\nagain_s = 1\n", "again_s"),
        ("[node\n", "not TOML"),
        ("\xff", "not TOML"),
        ("a = " + "[" * 10_000, "not TOML"),
    ],
)
def test_each_mistake_names_its_place(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=told) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("key", ["", 'key = "/c.key"\n'])
def test_a_certificate_goes_with_the_authority_of_the_servers(key: str, tmp_path: Path) -> None:
    """Its key may be in the same file."""
    text = f'[nats]\nca = "/ca.pem"\ncertificate = "/c.pem"\n{key}'
    nats = load_settings(written(tmp_path, f'[node]\nname = "n1"\n{text}')).nats
    assert (nats.ca, nats.certificate) == ("/ca.pem", "/c.pem")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        load_settings(tmp_path / "none.toml")


def test_trusted_keys_may_be_tables_of_their_own(tmp_path: Path) -> None:
    text = f'[trust]\nrequire = "always"\n[[trust.keys]]\nkey = "{KEY}"\nactor = "ci"\n'
    (key,) = load_settings(written(tmp_path, text)).trust.keys
    assert (key.key, key.actor, key.role) == (KEY, "ci", None)


def test_a_role_is_only_a_name_where_the_policy_has_none(tmp_path: Path) -> None:
    (key,) = load_settings(written(tmp_path, f"[trust]\nkeys = [{ROLED}]\n")).trust.keys
    assert key.role == "deploier"
