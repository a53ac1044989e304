"""The configuration file read: TOML, the policy beside it, and what no type can say of them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from wharfside_agent.core.policy.rules import policy_of
from wharfside_agent.errors import SettingsError
from wharfside_agent.settings import NatsSettings, Settings
from wharfside_protocol.errors import Invalid
from wharfside_protocol.subjects import Subjects, check_name


def load_settings(path: Path) -> Settings:
    """The settings in `path`.

    Raises:
        SettingsError: the file is missing, broken, or says what cannot be; it names the place.
    """
    raw = _read_toml(path)
    try:
        policy = policy_of(_policy_table(raw.pop("policy", {}), path))
        settings = msgspec.convert(raw, Settings)
        settings = msgspec.structs.replace(settings, policy=policy)
        check_name(settings.node.name, "node.name")
        Subjects(settings.nats.prefix)
        _check_tls(settings.nats)
        settings.make_trust()
        _check_roles(settings)
    except (msgspec.ValidationError, Invalid) as error:
        raise SettingsError(f"{path}: {error}") from error
    _check_paths(settings, path)
    return settings


def _check_tls(nats: NatsSettings) -> None:
    """
    Raises:
        Invalid: a file that would not be used.
    """
    if nats.certificate is not None and nats.ca is None:
        raise Invalid(
            "nats.certificate without nats.ca is never shown, since TLS is off: name in nats.ca "
            "the PEM file of the authority that the servers' certificates are by"
        )
    if nats.key is not None and nats.certificate is None:
        raise Invalid("nats.key is the key of nats.certificate: name both, or neither")


def _check_roles(settings: Settings) -> None:
    """A role that is mistyped must not fall back to what everybody may.

    Raises:
        Invalid: a trusted key has a role that the policy, which has some, does not know.
    """
    known = settings.policy.roles
    for each in settings.trust.keys:
        if known and each.role is not None and each.role not in known:
            raise Invalid(
                f"trust.keys: {each.actor} has role {each.role!r}, and there is no "
                f"[policy.roles.{each.role}], so it would have everybody's rules: the roles are "
                f"{', '.join(sorted(known))}; leave `role` out for everybody's"
            )


def _policy_table(table: Any, path: Path) -> dict[str, Any]:
    """The `[policy]` of the file, or what stands in the file that it names, beside it.

    Raises:
        Invalid, SettingsError: it is no table, or names a file and has rules of its own.
    """
    if not isinstance(table, dict):
        raise Invalid("policy must be a table of rules")
    if "file" not in table:
        return table
    if len(table) > 1 or not isinstance(table["file"], str):
        raise Invalid("policy.file names the file of all the rules: it stands alone")
    return _read_toml(path.parent / table["file"])


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


def _check_paths(settings: Settings, path: Path) -> None:
    roots = [*settings.runtime.bundle_roots, *settings.runtime.mount_roots]
    for each in (settings.paths.state_dir, settings.paths.run_dir, *roots):
        if not each.startswith("/"):
            raise SettingsError(f"{path}: {each!r} must be an absolute path")
        if "{" in settings.named(each):
            raise SettingsError(f"{path}: {each!r}: only {{node}} stands for something")
    # conmon takes a log's path as far as its first colon, and would log there
    if ":" in settings.paths.state_dir:
        raise SettingsError(f"{path}: paths.state_dir must be without a colon, for conmon's sake")
