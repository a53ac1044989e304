"""Which auth folder is meant, and how its provisioner is connected."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import parse
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


Expires = Annotated[
    Any,
    typer.Option(
        "--expires", parser=parse.duration, metavar="TIME", show_default=False,
        help="The key is not let in any more after so long: 90d (JWTs alone) [never]",
    ),
]  # fmt: skip


def one_of(given: Mapping[str, object]) -> None:
    """
    Raises:
        BadSettings: none of them is given, or more than one.
    """
    from wharfside_client.errors import BadSettings

    if sum(bool(value) for value in given.values()) != 1:
        raise BadSettings(f"give one of {', '.join(given)}")


def can_certify() -> None:
    """
    Raises:
        BadSettings: what makes certificates is not installed.
    """
    from wharfside_client.errors import BadSettings

    try:
        import wharfside_client.auth.tls  # noqa: F401
    except ImportError as error:
        raise BadSettings(
            f"certificates need another package ({error}): pip install 'wharfside[tls]'"
        ) from error


def end_of(now: int, expires: float | None) -> int | None:
    """Seconds since 1970.

    Raises:
        BadSettings: a key that nobody could ever use.
    """
    from wharfside_client.errors import BadSettings

    if expires is not None and expires < 1:
        raise BadSettings("--expires: at least a second, or leave it out for a key without an end")
    return None if expires is None else now + int(expires)


def folder_of(given: Path | None) -> Path:
    return given or Path(os.environ.get(VARIABLE) or DEFAULT)


def as_user(path: Path, state: State, name: str) -> Flags:
    """The flags with which a user of the folder connects from here."""
    from wharfside_client.auth.folder import Folder

    file = str(Folder(path).credentials(state, name))
    return Flags(
        server=",".join(state.servers.urls),
        nkey=file if state.trust is None else None,
        creds=file if state.trust is not None else None,
        peer=name,
        prefix=state.prefix,
    ).over(_tls(path, state, name))


def _tls(path: Path, state: State, name: str) -> Flags:
    """The files of the folder where it has them, else those that the servers have."""
    tls = state.servers.tls
    if tls is None:
        return Flags()
    own = path / "tls"
    ca = own / "ca.pem" if (own / "ca.pem").is_file() else Path(tls.ca)
    cert, key = (own / "clients" / f"{name}.{end}" for end in ("pem", "key"))
    shown = tls.verify and cert.is_file() and key.is_file()
    return Flags(
        tlsca=str(ca) if ca.is_file() else None,
        tlscert=str(cert) if shown else None,
        tlskey=str(key) if shown else None,
    )


def spelled(flags: Flags) -> str:
    """The same, as they are typed."""
    from wharfside_protocol.subjects import DEFAULT_PREFIX

    prefix = None if flags.prefix == DEFAULT_PREFIX else flags.prefix
    given = (("-s", flags.server), ("--nkey", flags.nkey), ("--creds", flags.creds),
             ("--tlsca", flags.tlsca), ("--tlscert", flags.tlscert), ("--tlskey", flags.tlskey),
             ("--peer", flags.peer), ("--prefix", prefix))  # fmt: skip
    return " ".join(f"{flag} {shlex.quote(value)}" for flag, value in given if value)
