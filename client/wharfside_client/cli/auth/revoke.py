"""`auth revoke`: keys, signing keys and an authority taken back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import exitcodes
from wharfside_client.cli.auth.place import Dir, can_certify, folder_of, one_of
from wharfside_client.cli.auth.push import push_all
from wharfside_client.cli.auth.rotate import Name, RoleName
from wharfside_client.cli.auth.tell import in_force, tell_next, tell_written
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.auth.rotation import Revoked


async def revoke(
    session: Session,
    name: Name = None,
    old: Annotated[
        bool, typer.Option("--old", help="The keys before the one that `auth rotate` made last")
    ] = False,
    role: RoleName = None,
    old_ca: Annotated[
        bool, typer.Option("--old-ca", help="The authority before `auth rotate --ca`")
    ] = False,
    folder: Dir = None,
) -> int:
    """Take a user's keys back: it is cut off, and let in no more.

    With --role the signing keys before the newest, and all that they signed. In a folder of
    JWTs running servers are told at once; else reload them.
    """
    from wharfside_client.auth import rotation

    one_of({"NAME": name, "--role": role, "--old-ca": old_ca})
    path, now = folder_of(folder), int(time.time())
    if old_ca:
        return _drop_old_authority(session, path)
    if role is not None:
        done = rotation.revoke_role(path, role, now)
    else:
        done = rotation.revoke(path, name, now, old=old)
    pushed = await push_all(session, path)
    _tell(session, path, done, pushed=pushed)
    return exitcodes.OK


def _tell(session: Session, path: Path, done: Revoked, *, pushed: bool) -> None:
    from wharfside_client.auth.state import load

    if session.output.json:
        session.output.document(done)
        return
    for key in done.keys:
        session.output.line(f"revoked: {key}")
    tell_written(session.output, done.written)
    if pushed:
        session.output.line("running servers know it: whoever used these keys is cut off")
    else:
        tell_next(session.output, in_force(path, load(path), done.written))


def _drop_old_authority(session: Session, path: Path) -> int:
    can_certify()
    from wharfside_client.auth.authority import drop_old_authority

    ca = drop_old_authority(path)
    if session.output.json:
        session.output.document({"folder": str(path), "ca": str(ca)})
        return exitcodes.OK
    session.output.line(f"{ca} holds the new authority alone")
    steps = [f"# give {ca} to every server, node and user; reload the servers"]
    tell_next(session.output, steps)
    return exitcodes.OK
