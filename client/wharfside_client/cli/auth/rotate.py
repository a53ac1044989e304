"""`auth rotate`: new keys and a new authority, beside the old ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import exitcodes, parse
from wharfside_client.cli.auth.place import Dir, Expires, can_certify, end_of, folder_of, one_of
from wharfside_client.cli.auth.push import push_all
from wharfside_client.cli.auth.tell import in_force, tell_next, tell_written, where
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.auth.rotation import Rotated

Name = Annotated[
    Any, typer.Argument(parser=parse.name, metavar="[NAME]", help="A user", show_default=False)
]
RoleName = Annotated[
    str | None,
    typer.Option("--role", metavar="ROLE", help="Its signing key, and all its users (JWTs alone)"),
]


async def rotate(
    session: Session,
    name: Name = None,
    role: RoleName = None,
    ca: Annotated[bool, typer.Option("--ca", help="The authority of certificates")] = False,
    expires: Expires = None,
    folder: Dir = None,
) -> int:
    """Make a new key; the old one stays valid until `auth revoke` takes it back.

    So its owner changes over without a break: an agent does when its file is replaced.
    """
    from wharfside_client.auth import rotation

    one_of({"NAME": name, "--role": role, "--ca": ca})
    path, now = folder_of(folder), int(time.time())
    if ca:
        return _rotate_authority(session, path)
    end = end_of(now, expires)
    if role is None:
        done = rotation.rotate(path, name, now, end)
        _tell(session, path, done, f"wharfside auth revoke{where(path)} {name} --old")
        return exitcodes.OK
    done = rotation.rotate_role(path, role, now, end)
    await push_all(session, path)
    _tell(session, path, done, f"wharfside auth revoke{where(path)} --role {role}", pushed=True)
    return exitcodes.OK


def _tell(
    session: Session, path: Path, done: Rotated, revoke: str, *, pushed: bool = False
) -> None:
    from wharfside_client.auth.state import SYSTEM, load

    if session.output.json:
        session.output.document(done)
        return
    for name, file in done.credentials.items():
        session.output.line(f"{name}: its new key is {file}; the old one stays valid")
    tell_written(session.output, done.written)
    force = [] if pushed else in_force(path, load(path), done.written)
    moved = [file for name, file in done.credentials.items() if name != SYSTEM]
    take = [f"# put {', '.join(moved)} in the place of the old, by rename"] if moved else []
    tell_next(session.output, [*force, *take, f"{revoke}  # once the new one is in use"])


def _rotate_authority(session: Session, path: Path) -> int:
    can_certify()
    from wharfside_client.auth.authority import rotate_authority

    ca = rotate_authority(path)
    if session.output.json:
        session.output.document({"folder": str(path), "ca": str(ca)})
        return exitcodes.OK
    session.output.line(f"{ca} holds the new authority, and the old one for a while")
    tell_next(
        session.output,
        [
            f"# give {ca} to every server, node and user; reload the servers",
            f"wharfside auth tls{where(path)}  # then: certificates by the new one",
            f"wharfside auth revoke{where(path)} --old-ca  # once every server has its new one",
        ],
    )
    return exitcodes.OK
