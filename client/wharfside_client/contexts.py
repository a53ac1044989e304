"""Where to connect, from flags, the nats CLI's contexts and the environment.

A flag comes first. A context that is named by a flag comes before the
environment; one that is merely selected (NATS_CONTEXT, `nats context select`)
comes after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from wharfside_client.errors import BadSettings
from wharfside_client.settings import ServerSettings, split_urls

ENVIRONMENT = {
    "servers": "NATS_URL",
    "creds": "NATS_CREDS",
    "nkey": "NATS_NKEY",
    "sign_key": "WHARFSIDE_SIGN_KEY",
    "user": "NATS_USER",
    "password": "NATS_PASSWORD",
    "token": "NATS_TOKEN",
    "ca": "NATS_CA",
    "cert": "NATS_CERT",
    "key": "NATS_KEY",
    "peer": "WHARFSIDE_PEER",
    "prefix": "WHARFSIDE_PREFIX",
}
"""The environment's name of each setting; those of NATS are the nats CLI's own."""

_FROM_CONTEXT = {
    "url": "servers",
    "creds": "creds",
    "nkey": "nkey",
    "user": "user",
    "password": "password",
    "token": "token",
    "ca": "ca",
    "cert": "cert",
    "key": "key",
    "tls_first": "tls_first",
    "inbox_prefix": "inbox",
}
_WHO = ("creds", "nkey", "user", "token")
_PATHS = ("creds", "nkey", "sign_key", "ca", "cert", "key")


def find_settings(
    flags: Mapping[str, Any], context: str | None, environment: Mapping[str, str]
) -> ServerSettings:
    """The settings for `flags` (by the names of `ServerSettings`; None is not given).

    Raises:
        BadSettings: the context is missing or broken.
    """
    from_environment = {
        name: value for name, key in ENVIRONMENT.items() if (value := environment.get(key))
    }
    folder = context_folder(environment)
    selected = context or environment.get("NATS_CONTEXT") or _selected(folder)
    from_context = read_context(folder, selected) if selected else {}
    layers = [from_context, from_environment, {k: v for k, v in flags.items() if v is not None}]
    if context:
        layers[:2] = [from_environment, from_context]
    return ServerSettings(**_finish(_merged(layers)))


def _merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The later layers over the earlier. One that says who we are hides all that those before
    say of it: an nkey by a flag is not to lose to credentials in the environment."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if any(key in layer for key in _WHO):
            merged = {k: v for k, v in merged.items() if k not in (*_WHO, "password")}
        merged |= layer
    return merged


def context_folder(environment: Mapping[str, str]) -> Path:
    """Where the nats CLI keeps its contexts (XDG base directories)."""
    base = environment.get("XDG_CONFIG_HOME")
    home = Path(environment.get("HOME", "/"))
    return (Path(base) if base else home / ".config") / "nats"


def read_context(folder: Path, name: str) -> dict[str, Any]:
    """The settings in the context `name`.

    Raises:
        BadSettings: there is no such context, or it is not JSON.
    """
    path = folder / "context" / f"{name}.json"
    try:
        said: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict)
    except FileNotFoundError as error:
        raise BadSettings(f"no NATS context {name!r} at {path}; see `nats context ls`") from error
    except (OSError, msgspec.DecodeError) as error:
        raise BadSettings(f"NATS context {path} cannot be read: {error}") from error
    return {ours: said[theirs] for theirs, ours in _FROM_CONTEXT.items() if said.get(theirs)}


def _selected(folder: Path) -> str | None:
    try:
        return (folder / "context.txt").read_text().strip() or None
    except OSError:
        return None


def _finish(found: dict[str, Any]) -> dict[str, Any]:
    if isinstance(urls := found.get("servers"), str):
        found["servers"] = split_urls(urls)
    for key in _PATHS:
        if key in found:
            found[key] = str(Path(found[key]).expanduser())
    return found
