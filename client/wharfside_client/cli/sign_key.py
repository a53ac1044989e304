"""`sign-key`: a key that signs commands, and what the nodes must know of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from wharfside_client.cli.command import command
from wharfside_client.cli.session import Session


def register(app: typer.Typer) -> None:
    command(app, "sign-key")(sign_key)


async def sign_key(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    actor: Annotated[
        str, typer.Option("--actor", metavar="NAME", help="Whom the key proves, on the nodes")
    ] = "me",
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help="Its role in the nodes' policy")
    ] = None,
) -> None:
    """Make a key that signs commands: its seed into FILE, for --sign-key.

    Prints what goes into config.toml of each node that is to trust it. FILE must not exist.
    """
    from wharfside_client.errors import BadSettings
    from wharfside_protocol.signing import Signer, seed_of

    seed = seed_of(secrets.token_bytes(32))
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(f"{seed}\n")
    except OSError as error:
        raise BadSettings(f"{file}: {error.strerror}; a key is never written over") from error
    facts = {"key": Signer(seed).key, "actor": actor} | ({"role": role} if role else {})
    if session.output.json:
        session.output.document(facts)
        return
    from wharfside_client.cli.plain import dumps

    session.output.line("[[trust.keys]]")
    for name, value in facts.items():
        session.output.line(f"{name} = {dumps(value, pretty=False)}")
