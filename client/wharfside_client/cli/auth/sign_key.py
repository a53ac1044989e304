"""`auth sign-key`: a key that signs commands, and what the nodes must know of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wharfside_client.cli.session import Session


async def sign_key(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    actor: Annotated[
        str, typer.Option("--actor", metavar="NAME", help="Whom it proves, on the nodes")
    ],
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help="In the nodes' policy")
    ] = None,
) -> None:
    """Make a key that signs commands: its seed into FILE, for --sign-key.

    Prints what goes into config.toml of each node that is to trust it. It never logs in.
    """
    from wharfside_client.auth.keys import Key, Kind
    from wharfside_client.cli.plain import dumps
    from wharfside_client.errors import BadSettings

    if file.exists():
        raise BadSettings(f"{file} is there already, and a key is never written over")
    key = Key.make(Kind.USER).save(file)
    facts = {"key": key.public, "actor": actor} | ({"role": role} if role else {})
    if session.output.json:
        session.output.document(facts)
        return
    session.output.line("[[trust.keys]]")
    for name, value in facts.items():
        session.output.line(f"{name} = {dumps(value, pretty=False)}")
