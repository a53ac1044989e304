"""Which auth folder is meant, and how its provisioner is connected."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli.flags import Flags

if TYPE_CHECKING:
    from wharfside_client.auth.state import State

DEFAULT = "wharfside-auth"
VARIABLE = "WHARFSIDE_AUTH"

Dir = Annotated[
    Path | None,
    typer.Option(
        "--dir", "-d", metavar="DIR", help=f"The auth folder [{VARIABLE}, else {DEFAULT}]",
        show_default=False,
    ),
]  # fmt: skip


def folder_of(given: Path | None) -> Path:
    return given or Path(os.environ.get(VARIABLE) or DEFAULT)


def as_user(path: Path, state: State, name: str) -> Flags:
    """The flags with which a user of the folder connects from here."""
    from wharfside_client.auth.folder import Folder

    tls = state.servers.tls
    ca = tls.ca if tls is not None and Path(tls.ca).is_file() else None
    return Flags(
        server=",".join(state.servers.urls),
        nkey=str(Folder(path).seed(name)),
        tlsca=ca,
        peer=name,
        prefix=state.prefix,
    )


def spelled(flags: Flags) -> str:
    """The same, as they are typed."""
    from wharfside_protocol.subjects import DEFAULT_PREFIX

    prefix = None if flags.prefix == DEFAULT_PREFIX else flags.prefix
    given = (("-s", flags.server), ("--nkey", flags.nkey), ("--tlsca", flags.tlsca),
             ("--peer", flags.peer), ("--prefix", prefix))  # fmt: skip
    return " ".join(f"{flag} {shlex.quote(value)}" for flag, value in given if value)
